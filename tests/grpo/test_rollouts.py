from collections.abc import Sequence
from threading import Event, Lock
from time import sleep

import numpy as np
import pytest

from ray_iqa.grpo.rollouts import OnPolicyRollouts, PrefetchedRollouts
from ray_iqa.types import LabelledImage, RolloutGroup, SamplingSpec


class Pool:
    """A sampler and publisher in one: publishing waits for running sampling, samples carry the version."""

    def __init__(self) -> None:
        self.sampling, self.weights_fixed = Lock(), Lock()
        self.version = 0
        self.sampled: list[tuple[str, int, int]] = []  # image id, seed, version
        self.prepared: list[str] = []  # image ids
        self.may_sample = Event()
        self.may_sample.set()
        self.fail_at = ""

    def sample(self, images: Sequence[LabelledImage], spec: SamplingSpec) -> list[RolloutGroup]:
        with self.sampling:
            self.may_sample.wait(10)
            if images[0].image_id == self.fail_at:
                self.fail_at = ""
                raise RuntimeError("engine died")
            self.sampled += [(image.image_id, spec.seed, self.version) for image in images]
            prompt = np.zeros(1, dtype=np.int32)
            return [
                RolloutGroup(image=image, prompt_token_ids=prompt, completions=(), policy_version=self.version)
                for image in images
            ]

    def prepare(self, images: Sequence[LabelledImage]) -> None:
        self.prepared += [image.image_id for image in images]

    def publish(self, version: int) -> None:
        with self.weights_fixed, self.sampling:
            self.version = version


class Batches:
    def for_step(self, step: int) -> list[LabelledImage]:
        name = f"image-{step}"
        return [
            LabelledImage(image_id=name, image_path=name, dataset="d", mos=1.0, mos_std=None, higher_is_better=True)
        ]


def spec(step: int) -> SamplingSpec:
    return SamplingSpec(num_completions=2, temperature=1.0, top_k=0, top_p=1.0, max_tokens=8, seed=100 + step)


def run(pool: Pool, *, first: int, last: int, num_steps: int, prefetched: bool) -> list[tuple[str, int]]:
    """Learn steps ``first`` to ``last``; returns what was learned from: image, policy version."""
    rollouts = OnPolicyRollouts(pool, Batches(), spec)
    source = (
        PrefetchedRollouts(rollouts, num_steps, checkpoint_every=3, weights_fixed=pool.weights_fixed)
        if prefetched
        else rollouts
    )
    learned = []
    for step in range(first, last + 1):
        (group,) = source.batch_for(step)
        learned.append((group.image.image_id, group.policy_version))
        pool.publish(step)
    if isinstance(source, PrefetchedRollouts):
        source.close()
    return learned


def test_on_policy_samples_with_the_newest_weights() -> None:
    pool = Pool()
    learned = run(pool, first=1, last=4, num_steps=4, prefetched=False)
    assert learned == [(f"image-{step}", step - 1) for step in range(1, 5)]
    assert pool.sampled == [(f"image-{step}", 100 + step, step - 1) for step in range(1, 5)]


def test_a_step_is_prepared_when_the_one_before_it_is_sampled() -> None:
    pool = Pool()
    OnPolicyRollouts(pool, Batches(), spec).batch_for(3)
    assert [name for name, _, _ in pool.sampled] == ["image-3"]
    assert pool.prepared == ["image-4"]


def test_prefetched_is_one_behind_except_after_a_checkpoint() -> None:
    pool = Pool()
    learned = run(pool, first=1, last=8, num_steps=8, prefetched=True)
    assert [version for _, version in learned] == [0, 0, 1, 3, 3, 4, 6, 6]
    assert [image for image, _ in learned] == [f"image-{step}" for step in range(1, 9)]


def test_nothing_is_sampled_beyond_the_last_step() -> None:
    pool = Pool()
    run(pool, first=1, last=5, num_steps=5, prefetched=True)
    assert pool.sampled[-1][0] == "image-5"


def test_a_resumed_run_samples_what_the_uninterrupted_one_did() -> None:
    whole = run(Pool(), first=1, last=8, num_steps=8, prefetched=True)
    resumed = Pool()
    resumed.publish(3)
    assert run(resumed, first=4, last=8, num_steps=8, prefetched=True) == whole[3:]


def test_batch_for_returns_while_the_next_step_is_sampled() -> None:
    pool = Pool()
    source = PrefetchedRollouts(
        OnPolicyRollouts(pool, Batches(), spec), num_steps=2, checkpoint_every=10, weights_fixed=pool.weights_fixed
    )
    sample = pool.sample

    def first_free_then_held(images: Sequence[LabelledImage], spec: SamplingSpec) -> list[RolloutGroup]:
        groups = sample(images, spec)
        pool.may_sample.clear()
        return groups

    pool.sample = first_free_then_held
    (group,) = source.batch_for(1)
    assert group.image.image_id == "image-1"
    assert [name for name, _, _ in pool.sampled] == ["image-1"]  # step 2 is held back, step 1 is here
    pool.may_sample.set()
    source.batch_for(2)
    source.close()


def test_an_error_of_the_thread_surfaces_and_the_step_can_be_asked_again() -> None:
    pool = Pool()
    pool.fail_at = "image-2"
    source = PrefetchedRollouts(
        OnPolicyRollouts(pool, Batches(), spec), num_steps=3, checkpoint_every=10, weights_fixed=pool.weights_fixed
    )
    source.batch_for(1)
    with pytest.raises(RuntimeError, match="engine died"):
        source.batch_for(2)
    assert source.batch_for(2)[0].image.image_id == "image-2"
    source.close()


def test_a_publish_right_after_a_step_waits_for_sampling_that_has_not_begun() -> None:
    pool = Pool()

    class LateThread(OnPolicyRollouts):
        def batch_for(self, step: int) -> list[RolloutGroup]:
            if step == 2:
                sleep(0.2)  # the thread comes to run long after the caller went on
            return super().batch_for(step)

    source = PrefetchedRollouts(LateThread(pool, Batches(), spec), 2, 10, pool.weights_fixed)
    source.batch_for(1)
    pool.publish(1)
    (group,) = source.batch_for(2)
    assert group.policy_version == 0
    source.close()
