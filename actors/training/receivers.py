"""The rollout workers as learner rank 0 sees them while it broadcasts weights."""

from collections.abc import Sequence
from typing import Any

import ray

from actors.cluster.processes import Handle
from ray_iqa.config.learner import WeightTransferConfig
from ray_iqa.types import Canary, TensorSpec, WeightReceipt


class ActorReceivers:
    """`weights.send.Receivers` over rollout actors; travels to learner rank 0, which drives them."""

    def __init__(self, workers: Sequence[Handle], config: WeightTransferConfig) -> None:
        self._workers, self._config = list(workers), config

    @property
    def fleet(self) -> tuple[str, ...]:
        """Identities of the workers."""
        return tuple(worker._actor_id.hex() for worker in self._workers)

    def join_transfer(self, init_infos: Sequence[dict[str, Any]]) -> None:
        """See `weights.send.Receivers.join_transfer`."""
        calls = zip(self._workers, init_infos, strict=True)
        self._get([worker.join_transfer.remote(info) for worker, info in calls])

    def start_update(self, manifest: Sequence[TensorSpec]) -> None:
        """See `weights.send.Receivers.start_update`."""
        self._get([worker.start_update.remote(manifest) for worker in self._workers])

    def receive_chunk(self, update_info: dict[str, Any]) -> None:
        """See `weights.send.Receivers.receive_chunk`."""
        self._get([worker.receive_chunk.remote(update_info) for worker in self._workers])

    def finish_update(self, policy_version: int, canary: Canary | None) -> list[WeightReceipt]:
        """See `weights.send.Receivers.finish_update`."""
        limit = self._config.canary_max_abs
        return self._get([worker.finish_update.remote(policy_version, canary, limit) for worker in self._workers])

    def _get(self, calls: list[Any]) -> list[Any]:
        return ray.get(calls, timeout=self._config.phase_deadline_s)
