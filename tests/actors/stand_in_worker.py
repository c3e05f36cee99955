"""A rollout worker whose engine is a stand-in that fails on demand."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray

from actors.cluster.processes import ProcessPlace, announce_process
from ray_iqa.errors import DataError, WeightTransferError
from ray_iqa.seeds import derive_seed
from ray_iqa.types import Completion, LabelledImage, RolloutGroup, SamplingSpec, WeightReceipt, WeightSnapshot


class StandInWorker:
    """Answers like a worker; a file named after a failure makes one call fail that way."""

    def __init__(self, failures: Path) -> None:
        self._failures, self._version = failures, 0
        self._prepared: list[LabelledImage] = []

    def enter(self) -> ProcessPlace:
        return announce_process()

    def start(self) -> None:
        self._fail("start")

    def sample(
        self,
        images: Sequence[LabelledImage],
        spec: SamplingSpec,
        max_unfinished: int = 0,  # noqa: ARG002 - the contract
    ) -> tuple[list[RolloutGroup], float]:
        self._fail("sample")
        self._record(len(images))
        if self._prepared and any(image not in self._prepared for image in images):
            raise DataError("somebody else prepared these images")
        return [self._group(image, spec) for image in images], 0.0

    def prepare(self, images: Sequence[LabelledImage]) -> None:
        self._fail("prepare")
        self._prepared = list(images)

    def install(self, snapshot: WeightSnapshot) -> WeightReceipt:
        self._fail("install")
        return self._holds(snapshot.policy_version)

    def take_broadcast(self, phase: str, *arguments: Any) -> WeightReceipt | None:  # noqa: ANN401 - of the phase
        self._fail(phase)
        return self._holds(arguments[0]) if phase == "finish" else None

    def _holds(self, version: int) -> WeightReceipt:
        self._version = version
        return WeightReceipt(policy_version=version, num_tensors=1, canary_mean_abs=0.0, canary_max_abs=0.0)

    def _record(self, num_images: int) -> None:
        """Who sampled how many, for tests that ask."""
        if (self._failures / "served").is_dir():
            (self._failures / "served" / f"{time.monotonic_ns()}-{os.getpid()}-{num_images}").touch()

    def _group(self, image: LabelledImage, spec: SamplingSpec) -> RolloutGroup:
        tokens = np.array([derive_seed(spec.seed, image.image_id) % 1000], np.int32)
        completion = Completion(
            token_ids=tokens, logprobs=np.zeros(1, np.float32), text=str(tokens[0]), finish_reason="stop"
        )
        return RolloutGroup(
            image=image, prompt_token_ids=tokens, completions=(completion,) * 2, policy_version=self._version
        )

    def _fail(self, phase: str) -> None:
        for file in sorted(self._failures.glob(f"{phase}-*")):
            try:
                file.unlink()
            except FileNotFoundError:
                continue
            match file.name.split("-")[1]:
                case "die":
                    os._exit(1)
                case "stop":
                    os.kill(os.getpid(), signal.SIGSTOP)
                    time.sleep(60)  # woken up to tell its stack, it is still here until it is killed
                case "slow":
                    time.sleep(4)
                case "refuse":
                    raise WeightTransferError("a tensor is missing")
                case "data":
                    raise DataError("3.png cannot be decoded")


ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test's file
StandInActor = ray.remote(StandInWorker)
