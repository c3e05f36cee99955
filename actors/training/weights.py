"""Weight publishers: on return every rollout worker answers with the new policy version."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import ray

from actors.cluster.processes import Handle, last_line
from actors.training.learner import LearnerGroup
from actors.training.rollout_pool import RolloutPool
from ray_iqa.config.learner import WeightTransferConfig
from ray_iqa.errors import WeightTransferError
from ray_iqa.protocols import WeightPublisher
from ray_iqa.types import WeightReceipt, WeightSnapshot

logger = logging.getLogger(__name__)


class ObjectStorePublisher:
    """A snapshot in Ray's object store, which any worker, a late joiner too, pulls at any time.

    The pool keeps a reference to the newest snapshot only; older ones are freed by Ray.
    """

    def __init__(self, learner: LearnerGroup, pool: RolloutPool, config: WeightTransferConfig) -> None:
        self._learner, self._pool, self._config = learner, pool, config

    def publish(self, policy_version: int) -> dict[str, float]:
        """See `protocols.WeightPublisher.publish`."""
        began = time.perf_counter()
        snapshot = self._learner.snapshot(self._config)
        packed = time.perf_counter()
        receipts = self._pool.install(snapshot)
        seconds = {"publish/pack_seconds": packed - began, "publish/install_seconds": time.perf_counter() - packed}
        return seconds | receipt_metrics(receipts, policy_version)


class BroadcastPublisher:
    """NCCL broadcast or CUDA IPC from the learner's GPUs to the workers', retried whole once.

    What fails twice goes through the object store, which finds and replaces the worker at fault; so does whoever
    joins between two publishes.
    """

    def __init__(self, learner: LearnerGroup, pool: RolloutPool, config: WeightTransferConfig) -> None:
        self._learner, self._pool, self._config = learner, pool, config
        self._fallback = ObjectStorePublisher(learner, pool, config)

    def publish(self, policy_version: int) -> dict[str, float]:
        """See `protocols.WeightPublisher.publish`."""
        began = time.perf_counter()
        for _ in range(2):
            try:
                receipts = self._pool.broadcast(self._send, self._snapshot)
            except WeightTransferError as error:
                logger.warning("a broadcast of the weights failed: %s", last_line(error))
                continue
            seconds = {"publish/pack_seconds": 0.0, "publish/install_seconds": time.perf_counter() - began}
            return seconds | receipt_metrics(receipts, policy_version)
        return self._fallback.publish(policy_version)

    def _snapshot(self) -> "ray.ObjectRef[WeightSnapshot]":
        return self._learner.snapshot(self._config)

    def _send(self, workers: Sequence[Handle], gpus_per_engine: int) -> list[WeightReceipt]:
        receivers = ActorReceivers(workers, self._config.phase_deadline_s)
        return self._learner.broadcast(receivers, gpus_per_engine, self._config)


class ActorReceivers:
    """`send.Receivers` over rollout actors; travels to learner rank 0, which drives them."""

    def __init__(self, workers: Sequence[Handle], deadline_s: float) -> None:
        self._workers, self._deadline_s = list(workers), deadline_s

    @property
    def fleet(self) -> tuple[str, ...]:
        """Identities of the workers."""
        return tuple(worker._actor_id.hex() for worker in self._workers)

    def __call__(self, phase: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """See `send.Receivers`."""
        calls = zip(self._workers, arguments, strict=True)
        return ray.get([worker.take_broadcast.remote(phase, *own) for worker, own in calls], timeout=self._deadline_s)


def publisher(learner: LearnerGroup, pool: RolloutPool, config: WeightTransferConfig) -> WeightPublisher:
    """The transport that ``weights.type`` names."""
    kind = ObjectStorePublisher if config.type == "object_store" else BroadcastPublisher
    return kind(learner, pool, config)


def receipt_metrics(receipts: Sequence[WeightReceipt], policy_version: int) -> dict[str, float]:
    """What the workers confirmed.

    Raises:
        WeightTransferError: a worker holds another version.
    """
    for receipt in receipts:
        if receipt.policy_version != policy_version:
            raise WeightTransferError(
                f"every rollout worker must hold policy version {policy_version}, one holds {receipt.policy_version}"
            )
    return {
        "publish/canary_mean_abs": max(receipt.canary_mean_abs for receipt in receipts),
        "publish/canary_max_abs": max(receipt.canary_max_abs for receipt in receipts),
        "publish/tensors": float(receipts[0].num_tensors),
    }
