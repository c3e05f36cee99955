"""One rollout worker: a vLLM engine in a process of its own."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray

from actors.cluster.engine_start import engine_start
from actors.cluster.processes import ProcessPlace, announce_process
from actors.training.adapted_base import AdaptedBase
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.types import (
    Canary,
    LabelledImage,
    RolloutGroup,
    SamplingSpec,
    TensorSpec,
    WeightReceipt,
    WeightSnapshot,
)


class RolloutWorker:
    """Answers `enter` when its process runs, and everything else after `start`."""

    def __init__(self, policy: PolicyConfig, rollout: VllmRolloutConfig, transfer_backend: str | None = None) -> None:
        self._settings = policy, rollout, transfer_backend

    def enter(self) -> ProcessPlace:
        """Where this process runs; until it answers, the worker waits for resources."""
        return announce_process()

    def start(self) -> None:
        """Start the engine, on the initial policy."""
        with engine_start():
            from ray_iqa.backends.vllm.sampler import VllmSampler  # the engine belongs in this process only

            self._sampler = VllmSampler(*self._settings)

    def sample(
        self, images: Sequence[LabelledImage], spec: SamplingSpec, leave: int = 0
    ) -> tuple[list[RolloutGroup], float]:
        """See `VllmSampler.sample`; beside the groups the seconds this worker took."""
        began = time.perf_counter()
        groups = self._sampler.sample(images, spec, leave)
        return groups, time.perf_counter() - began

    def prepare(self, images: Sequence[LabelledImage]) -> None:
        """See `protocols.Sampler.prepare`."""
        self._sampler.prepare(images)

    def install(self, snapshot: WeightSnapshot | AdaptedBase, canary_max_abs: float) -> WeightReceipt:
        """Take over the learner's weights; see `VllmSampler.install`."""
        whole = snapshot.whole() if isinstance(snapshot, AdaptedBase) else snapshot
        return self._sampler.install(whole, canary_max_abs)

    def join_transfer(self, init_info: Mapping[str, Any]) -> None:
        """See `VllmSampler.join_transfer`."""
        self._sampler.join_transfer(init_info)

    def start_update(self, manifest: Sequence[TensorSpec]) -> None:
        """See `VllmSampler.start_update`."""
        self._sampler.start_update(manifest)

    def receive_chunk(self, update_info: Mapping[str, Any]) -> None:
        """See `VllmSampler.receive_chunk`."""
        self._sampler.receive_chunk(update_info)

    def finish_update(self, policy_version: int, canary: Canary | None, canary_max_abs: float) -> WeightReceipt:
        """See `VllmSampler.finish_update`."""
        return self._sampler.finish_update(policy_version, canary, canary_max_abs)


RolloutActor = ray.remote(RolloutWorker)
