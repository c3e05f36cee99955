"""One rollout worker: a vLLM engine in a process of its own."""

import time
from collections.abc import Sequence
from typing import Any

import ray

from actors.cluster.engine_start import engine_start
from actors.cluster.processes import ProcessPlace, announce_process
from ray_iqa.config.learner import LoraConfig, WeightTransferConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.types import LabelledImage, RolloutGroup, SamplingSpec, WeightReceipt, WeightSnapshot


class RolloutWorker:
    """Answers `enter` when its process runs, and everything else after `start`."""

    def __init__(
        self,
        policy: PolicyConfig,
        rollout: VllmRolloutConfig,
        weights: WeightTransferConfig | None = None,
        lora: LoraConfig | None = None,
    ) -> None:
        self._settings = policy, rollout, weights, lora

    def enter(self) -> ProcessPlace:
        """Where this process runs; until it answers, the worker waits for resources."""
        return announce_process()

    def start(self) -> None:
        """Start the engine, on the initial policy."""
        with engine_start():
            from ray_iqa.backends.vllm.sampler import VllmSampler  # the engine belongs in this process only

            self._sampler = VllmSampler(*self._settings)

    def sample(
        self, images: Sequence[LabelledImage], spec: SamplingSpec, max_unfinished: int = 0
    ) -> tuple[list[RolloutGroup], float]:
        """See `VllmSampler.sample`; beside the groups the seconds this worker took."""
        began = time.perf_counter()
        groups = self._sampler.sample(images, spec, max_unfinished)
        return groups, time.perf_counter() - began

    def prepare(self, images: Sequence[LabelledImage]) -> None:
        """See `protocols.Sampler.prepare`."""
        self._sampler.prepare(images)

    def install(self, snapshot: WeightSnapshot) -> WeightReceipt:
        """Take over the learner's weights; see `WeightInstaller.install`."""
        return self._sampler.weights.install(snapshot)

    def take_broadcast(self, phase: str, *arguments: Any) -> WeightReceipt | None:  # noqa: ANN401 - of the phase
        """One phase of a broadcast: the method of `WeightInstaller` that has its name."""
        receipt: WeightReceipt | None = getattr(self._sampler.weights, phase)(*arguments)
        return receipt


RolloutActor = ray.remote(RolloutWorker)
