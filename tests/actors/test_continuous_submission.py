"""Unequal workers on real Ray actors: each is handed its next images before it has an empty slot."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import ray

from actors.cluster.processes import ProcessPlace, announce_process
from actors.training.fleet import Fleet
from actors.training.rollout_pool import RolloutPool
from ray_iqa.config.learner import WeightTransferConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.types import LabelledImage, RolloutGroup, SamplingSpec

pytestmark = pytest.mark.usefixtures("joined_ray")
SPEC = SamplingSpec(num_completions=2, temperature=1.0, top_k=0, top_p=1.0, max_tokens=4, seed=5)
SLOTS = 4  # completions, two images
IMAGES = [
    LabelledImage(
        image_id=str(index), image_path=f"{index}.png", dataset="d", mos=1.0, mos_std=None, higher_is_better=True
    )
    for index in range(24)
]


class SlottedWorker:
    """Ends one image after the other; between two calls it stands still, so nothing here depends on the driver."""

    def __init__(self, log: Path, seconds_per_image: float) -> None:
        self._log, self._seconds_per_image = log, seconds_per_image
        self._unfinished: list[LabelledImage] = []
        self._calls = 0

    def enter(self) -> ProcessPlace:
        return announce_process()

    def start(self) -> None:
        """There is no engine."""

    def sample(
        self, images: Sequence[LabelledImage], spec: SamplingSpec, max_unfinished: int
    ) -> tuple[list[RolloutGroup], float]:
        self._log.with_name(f"{self._log.name}-{self._calls}-{len(self._unfinished)}-{len(images)}").touch()
        self._calls += 1
        self._unfinished += images
        done = []
        while len(self._unfinished) * spec.num_completions > max_unfinished:
            each = self._unfinished.pop(0)
            time.sleep(self._seconds_per_image * (10 if each.image_id == "7" else 1))
            done.append(each)
        nothing = np.zeros(0, np.int32)
        return [
            RolloutGroup(image=each, prompt_token_ids=nothing, completions=(), policy_version=0) for each in done
        ], 1.0


ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test file
SlottedActor = ray.remote(SlottedWorker)


def test_no_worker_has_an_empty_slot_while_images_are_left(tmp_path: Path) -> None:
    slowness = [5.0, 1.0]
    rollout = VllmRolloutConfig(min_workers=2, max_num_seqs=SLOTS, start_deadline_s=120)
    pool = RolloutPool(
        Fleet(
            lambda slot: SlottedActor.options(num_cpus=0).remote(tmp_path / str(slot), 0.01 * slowness[slot]),
            rollout,
            WeightTransferConfig(),
            wait_s=300.0,
            needs=lambda: "nothing",
        )
    )
    pool.wait_ready()
    groups = pool.sample(IMAGES, SPEC)
    assert [group.image for group in groups] == IMAGES
    calls = [tuple(map(int, file.name.split("-"))) for file in tmp_path.iterdir()]
    handed_out = sorted(call for call in calls if call[3])
    assert sum(count for *_, count in handed_out) == len(IMAGES)
    for _, call, unfinished, count in handed_out:
        if call == 0:
            assert (unfinished, count) == (0, SLOTS // 2 + 1)
        else:  # the next image, one alone, comes when what is left just fills the slots
            assert (unfinished, count) == (SLOTS // 2, 1)
    pool.close()
