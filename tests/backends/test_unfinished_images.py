"""Completions that one call leaves to the next one, on a real vLLM engine."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from vllm_policies import ROLLOUT, SPEC, load_model, noise_pictures, pack_snapshot, tiny_policy

from ray_iqa.backends.vllm.sampler import VllmSampler
from ray_iqa.errors import WeightTransferError
from ray_iqa.types import RolloutGroup

LONG = replace(SPEC, max_tokens=150)  # some answers end early by chance, others do not
SLOTS = 8


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("unfinished")
    policy = tiny_policy(folder / "policy", "qwen2_5_vl")
    sampler = VllmSampler(policy, ROLLOUT.model_copy(update={"max_num_seqs": SLOTS}))
    images = noise_pictures(folder)
    yield SimpleNamespace(policy=policy, sampler=sampler, images=images, together=sampler.sample(images, LONG))
    sampler.close()


def rows(groups: list[RolloutGroup]) -> dict[str, list[tuple[list[int], list[float], int]]]:
    return {
        group.image.image_id: [
            (completion.token_ids.tolist(), completion.logprobs.tolist(), group.policy_version)
            for completion in group.completions
        ]
        for group in groups
    }


def test_the_lengths_differ(bench: SimpleNamespace) -> None:
    lengths = [len(completion.token_ids) for group in bench.together for completion in group.completions]
    assert min(lengths) < max(lengths) / 2


def test_overlapping_calls_give_what_one_call_gives(bench: SimpleNamespace) -> None:
    first = bench.sampler.sample(bench.images[:3], LONG, max_unfinished=SLOTS - 1)
    left = {group.image.image_id for group in bench.together[:3]} - rows(first).keys()
    assert left  # the longest answer of the first call has not ended when the images of the second enter
    second = bench.sampler.sample(bench.images[3:6], LONG, max_unfinished=SLOTS)
    third = bench.sampler.sample(bench.images[6:], LONG)
    assert left <= rows(second).keys() | rows(third).keys()
    assert rows([*first, *second, *third]) == rows(bench.together)
    assert len(first) + len(second) + len(third) == len(bench.images)


def test_what_is_there_already_comes_back_without_new_images(bench: SimpleNamespace) -> None:
    first = bench.sampler.sample(bench.images, LONG, max_unfinished=4 * len(bench.images))
    assert first == []
    assert bench.sampler.sample([], LONG, max_unfinished=4 * len(bench.images)) == []
    rest = bench.sampler.sample([], LONG)
    assert [group.image for group in rest] == bench.images
    assert rows(rest) == rows(bench.together)


def test_weights_stay_until_the_images_are_done(bench: SimpleNamespace) -> None:
    snapshot = pack_snapshot(load_model(bench.policy), 0)
    bench.sampler.sample(bench.images[:2], LONG, max_unfinished=SLOTS - 1)
    with pytest.raises(WeightTransferError, match="images are being sampled"):
        bench.sampler.weights.install(snapshot)
    with pytest.raises(WeightTransferError, match="images are being sampled"):
        bench.sampler.weights.start(snapshot.manifest)
    bench.sampler.sample([], LONG)
    assert bench.sampler.weights.install(snapshot).policy_version == 0
    assert rows(bench.sampler.sample(bench.images, LONG)) == rows(bench.together)


def test_another_spec_drops_what_nobody_fetched(bench: SimpleNamespace) -> None:
    bench.sampler.sample(bench.images[:2], LONG, max_unfinished=SLOTS - 1)
    groups = bench.sampler.sample(bench.images[2:4], replace(LONG, seed=9))
    assert [group.image for group in groups] == bench.images[2:4]
    assert rows(bench.sampler.sample(bench.images[:2], LONG)) == rows(bench.together[:2])


def test_an_image_that_cannot_be_read_leaves_the_others_at_work(bench: SimpleNamespace) -> None:
    first = bench.sampler.sample(bench.images[:2], LONG, max_unfinished=SLOTS - 1)
    gone = replace(bench.images[2], image_path="gone.png")
    *left, failed = bench.sampler.sample([gone], LONG, max_unfinished=SLOTS - 1)
    assert (failed.image, failed.problem) == (gone, "gone.png: no such image file")
    assert rows([*first, *left, *bench.sampler.sample([], LONG)]) == rows(bench.together[:2])
