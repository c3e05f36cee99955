"""What a broadcast to many workers does about those that fail, on real actors with stand-ins for both engines.

`tests/backends/test_weight_broadcast.py` sends real weights to a real engine.
"""

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray
from stand_in_worker import StandInActor

from actors.cluster.processes import ProcessPlace, announce_process
from actors.training.fleet import Fleet
from actors.training.learner import LearnerGroup
from actors.training.rollout_pool import RolloutPool
from actors.training.weights import ActorReceivers, BroadcastPublisher
from ray_iqa.backends.weights.send import WeightSender
from ray_iqa.config.learner import DeepSpeedLearnerConfig, WeightTransferConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.runs.checkpoints import CheckpointStore
from ray_iqa.types import LabelledImage, SamplingSpec, WeightReceipt, WeightSnapshot

pytestmark = pytest.mark.usefixtures("joined_ray")
IMAGES = [
    LabelledImage(image_id=name, image_path=name, dataset="d", mos=1.0, mos_std=None, higher_is_better=True)
    for name in "abcdef"
]
SPEC = SamplingSpec(num_completions=2, temperature=1.0, top_k=0, top_p=1.0, max_tokens=4, seed=5)


class NoTransport:
    """Nothing travels; the workers are asked all the same."""

    def __init__(self, num_workers: int) -> None:
        self._num_workers = num_workers

    def rendezvous(self) -> list[dict[str, Any]]:
        return [{}] * self._num_workers

    def describe(self, chunk: object) -> dict[str, Any]:  # noqa: ARG002 - the contract
        return {}

    def nothing(self, *_: object) -> None:
        pass

    open = send = settle = close = nothing


class StandInRank:
    """Its policy version is the number of weights asked of it."""

    def enter(self) -> tuple[ProcessPlace, int]:
        with socket.socket() as probe:
            probe.bind(("", 0))
            return announce_process(), probe.getsockname()[1]

    def start(self, *_settings: object) -> None:
        self._version, self._num_snapshots = 0, 0

    def update(self, batch: object) -> Any:  # noqa: ANN401, ARG002 - the contract
        self._version += 1
        return SimpleNamespace(policy_version=self._version, problems=(), num_snapshots=self._num_snapshots)

    def broadcast(self, receivers: ActorReceivers, *_settings: object) -> list[WeightReceipt]:
        sender = WeightSender(NoTransport(len(receivers.fleet)), receivers, 10.0)
        return sender.send((), [()], self._version, None)

    def snapshot(self, *_settings: object, **_adapters: object) -> tuple[WeightSnapshot, bool]:
        self._num_snapshots += 1
        return WeightSnapshot(policy_version=self._version, manifest=(), values=(np.zeros(1),), canary=None), True


ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test's file


@pytest.fixture
def cast(tmp_path: Path) -> Iterator[tuple[Callable[[], Any], RolloutPool, BroadcastPublisher]]:
    """A learner's update, two workers, and what brings the weights from one to the others."""
    weights = WeightTransferConfig(phase_deadline_s=20)
    config = DeepSpeedLearnerConfig(num_ranks=1, update_deadline_s=60)
    store = CheckpointStore(str(tmp_path / "run"), 1)
    rank = ray.remote(StandInRank).options(num_cpus=0).remote()
    learner = LearnerGroup([rank], PolicyConfig(model="any"), config, store, num_steps=1, seed=0)
    learner.wait_ready()
    rollout = VllmRolloutConfig(min_workers=2, start_deadline_s=120)
    launch = lambda _slot: StandInActor.options(num_cpus=0).remote(tmp_path)  # noqa: E731
    pool = RolloutPool(Fleet(launch, rollout, weights, wait_s=300.0, needs=lambda: "nothing"))
    pool.wait_ready()
    yield lambda: learner.update(None), pool, BroadcastPublisher(learner, pool, weights)  # type: ignore[arg-type]
    pool.close()
    learner.close()


def versions(pool: RolloutPool) -> set[int]:
    return {group.policy_version for group in pool.sample(IMAGES, SPEC)}


def test_weights_go_straight_to_the_workers_and_a_failure_is_retried_whole(cast: Any, tmp_path: Path) -> None:  # noqa: ANN401
    update, pool, publisher = cast
    publisher.publish(update().policy_version)
    assert versions(pool) == {1}
    (tmp_path / "receive-refuse").touch()
    publisher.publish(update().policy_version)
    assert versions(pool) == {2}
    assert update().num_snapshots == 0


def test_a_worker_that_joins_after_later_broadcasts_gets_the_newest_weights(cast: Any, tmp_path: Path) -> None:  # noqa: ANN401
    update, pool, publisher = cast
    (tmp_path / "receive-die").touch()
    publisher.publish(update().policy_version)  # fails twice, goes through the object store; one worker is replaced
    publisher.publish(update().policy_version)  # to the other one, the new one is not there yet
    pool.wait_ready()
    assert pool.metrics()["rollout/workers_joined"] == 3
    assert versions(pool) == {2}
    assert update().num_snapshots == 2
