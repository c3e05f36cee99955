"""Learner ranks (one DeepSpeed rank each) and the group that makes them one learner."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import GetTimeoutError
from ray.util.placement_group import PlacementGroup

from actors.cluster.connection import connected, worker_environment
from actors.cluster.engine_start import engine_start
from actors.cluster.placement import Layout, learner_layout, on_bundle, reserved
from actors.cluster.processes import (
    LOST_ACTOR,
    Handle,
    ProcessPlace,
    announce_process,
    end_hung_processes,
    last_line,
    own_errors,
)
from ray_iqa.config.jobs.supervised import SupervisedConfig
from ray_iqa.config.learner import DeepSpeedLearnerConfig, WeightTransferConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import LearnerLostError
from ray_iqa.files import whole_folder
from ray_iqa.policy.exported_version import VERSION_FILE, exported_version, version_text, write_policy_version
from ray_iqa.runs.checkpoints import CheckpointStore
from ray_iqa.runs.remote_checkpoints import RemoteCheckpointStore
from ray_iqa.runs.remote_files import RemoteFolder, folder_for_reading, folder_for_writing
from ray_iqa.telemetry.terminal import say
from ray_iqa.types import LearnerUpdate, Progress, TrainingBatch, WeightReceipt, WeightSnapshot

if TYPE_CHECKING:
    from ray_iqa.backends.deepspeed.broadcast import Broadcaster
    from ray_iqa.backends.weights.send import Receivers

logger = logging.getLogger(__name__)
Checkpoints = CheckpointStore | RemoteCheckpointStore
BEST = "policy-best"
"""Folder beside the checkpoints with the policy of the best validation."""


class LearnerRank:
    """One DeepSpeed rank in its own process; every method is called on all ranks in the same order."""

    def enter(self) -> tuple[ProcessPlace, int]:
        """Where this process runs and a free port there, for the rendezvous of the gang."""
        with socket.socket() as probe:
            probe.bind(("", 0))
            return announce_process(), probe.getsockname()[1]

    def start(
        self,
        rendezvous: dict[str, str],
        policy: PolicyConfig,
        learner: DeepSpeedLearnerConfig,
        num_steps: int,
        seed: int,
    ) -> str | None:
        """Join the gang and build the engine; what somebody who watches the run should know, or None."""
        os.environ.update(rendezvous)  # DeepSpeed reads it there
        with engine_start():
            from ray_iqa.backends.deepspeed.learner import DeepSpeedLearner

            self._learner = DeepSpeedLearner(policy, learner, num_steps=num_steps, seed=seed)
        self._broadcaster: Broadcaster | None = None
        return self._learner.remark

    def update(self, batch: TrainingBatch) -> LearnerUpdate:
        """See `protocols.Learner.update`."""
        return self._learner.update(batch)

    def save(self, target: str) -> None:
        """Write this rank's part of a checkpoint to a folder or a URI."""
        with folder_for_writing(target) as folder:
            self._learner.save(folder)

    def load(self, source: str) -> None:
        """Read this rank's part of a checkpoint from a folder or a URI."""
        with folder_for_reading(source, self._learner.reads) as folder:
            self._learner.load(folder)

    def snapshot(self, chunk_bytes: int, *, adapters_alone: bool) -> tuple[WeightSnapshot | None, bool]:
        """`DeepSpeedLearner.snapshot`; beside it True, for who must not fetch it to know that it is done."""
        return self._learner.snapshot(chunk_bytes, adapters_alone=adapters_alone), True

    def broadcast(
        self, receivers: "Receivers", gpus_per_engine: int, weights: WeightTransferConfig
    ) -> list[WeightReceipt]:
        """This rank's part of a GPU broadcast; receipts on rank 0."""
        if self._broadcaster is None:
            from ray_iqa.backends.deepspeed.broadcast import Broadcaster

            host = ray.util.get_node_ip_address()
            self._broadcaster = Broadcaster(self._learner, int(os.environ["RANK"]), weights, host)
        return self._broadcaster.broadcast(receivers, gpus_per_engine)

    def export(self, target: str) -> None:
        """Write the policy as a plain Hugging Face folder, also to a URI."""
        with folder_for_writing(target) as folder:
            self._learner.export(folder)


LearnerActor = ray.remote(LearnerRank)


def start_learner(
    config: TrainConfig | SupervisedConfig, layout: Layout, group: PlacementGroup, store: Checkpoints, num_steps: int
) -> "LearnerGroup":
    """One rank per learner bundle of ``layout``, on ``group``; they are starting when this returns."""
    ranks = [
        LearnerActor.options(
            num_cpus=config.cluster.cpus_per_actor,
            num_gpus=layout.gpus_per_rank,
            scheduling_strategy=on_bundle(group, bundle),
            runtime_env=worker_environment(config.learner.num_threads, config.cluster.device),
        ).remote()
        for bundle in layout.learner_bundles
    ]
    return LearnerGroup(ranks, config.policy, config.learner, store, num_steps=num_steps, seed=config.seed)


@contextmanager
def lone_learner(
    config: TrainConfig | SupervisedConfig, store: Checkpoints, num_steps: int
) -> "Iterator[LearnerGroup]":
    """The learner group of a job without rollout workers, ready; it and the cluster connection end with the block."""
    layout = learner_layout(config.learner.num_ranks, config.cluster)
    with connected(config.cluster), reserved(layout, config.cluster) as group:
        say(f"starting learner ranks (DeepSpeed): {config.learner.num_ranks}")
        with closing(start_learner(config, layout, group, store, num_steps)) as learner:
            learner.wait_ready()
            yield learner


def is_complete(store: Checkpoints, num_steps: int, policy: str) -> bool:
    """Whether all steps are done and exported to ``policy``; says so, as nothing else will happen."""
    latest = store.latest()
    if latest is None or latest[1].step < num_steps or exported_version(policy) != latest[1].policy_version:
        return False
    say(f"already complete at step {latest[1].step} of {num_steps}: policy in {policy}")
    return True


def export_and_tell(learner: "LearnerGroup", policy: str, progress: Progress, num_steps: int) -> bool:
    """Export to ``policy`` what was learned; whether the saved step is the last, and if not, what to do is said."""
    if progress.policy_version > 0:  # else it was stopped before it learned anything
        learner.export(policy, progress)
    if progress.step < num_steps:
        say(f"saved step {progress.step} of {num_steps}; the same command resumes")
    return progress.step >= num_steps


class LearnerGroup:
    """`protocols.Learner` over all ranks."""

    def __init__(
        self,
        ranks: list[Handle],
        policy: PolicyConfig,
        learner: DeepSpeedLearnerConfig,
        store: Checkpoints,
        *,
        num_steps: int,
        seed: int,
    ) -> None:
        self._ranks, self._config, self._store = ranks, learner, store
        self._places: list[ProcessPlace] = []
        entered = self._get([rank.enter.remote() for rank in ranks], learner.start_deadline_s, "placement")
        self._places = [place for place, _ in entered]
        rendezvous = {
            "LOCAL_RANK": "0",  # Ray shows each rank its own device only
            "WORLD_SIZE": str(len(ranks)),
            "MASTER_ADDR": self._places[0].host,
            "MASTER_PORT": str(entered[0][1]),
        }
        self._starting = [
            rank.start.remote(rendezvous | {"RANK": str(index)}, policy, learner, num_steps, seed)
            for index, rank in enumerate(ranks)
        ]

    def wait_ready(self) -> None:
        """Block until every rank has built its engine.

        Raises:
            LearnerLostError: the gang did not start within ``learner.start_deadline_s``.
        """
        for remark in dict.fromkeys(self._get(self._starting, self._config.start_deadline_s, "start")):
            if remark is not None:
                logger.warning("%s", remark)

    def update(self, batch: TrainingBatch) -> LearnerUpdate:
        """See `protocols.Learner.update`."""
        shared = ray.put(batch)
        updates: list[LearnerUpdate] = self._all("update", shared)
        for problem in (problem for update in updates for problem in update.problems):
            logger.warning("an image that was sampled leaves the update: %s", problem)
        return updates[0]

    def discard(self, policy_version: int) -> None:
        """See `protocols.Learner.discard`."""
        self._store.discard(policy_version)

    def save(self, progress: Progress) -> None:
        """See `protocols.Learner.save`."""
        self._all("save", str(self._store.begin(progress.step)))
        self._store.commit(progress.step, progress)

    def restore(self) -> Progress:
        """See `protocols.Learner.restore`."""
        latest = self._store.latest()
        if latest is None:
            return Progress()
        folder, progress = latest
        self.load(folder)
        return progress

    def load(self, checkpoint: str | Path) -> None:
        """Load a complete checkpoint, by its path or URI."""
        self._all("load", str(checkpoint))

    def snapshot(self, weights: WeightTransferConfig) -> "ray.ObjectRef[WeightSnapshot]":
        """Pack the current weights; the snapshot goes from rank 0 into the object store, not through the driver."""
        alone, chunk = weights.adapters_alone(self._config.lora) is not None, weights.chunk_mib * 2**20
        packing = [rank.snapshot.options(num_returns=2).remote(chunk, adapters_alone=alone) for rank in self._ranks]
        self._get([done for _, done in packing], weights.phase_deadline_s, "packing the weights")
        snapshot, _ = packing[0]
        return snapshot

    def broadcast(self, receivers: object, gpus_per_engine: int, weights: WeightTransferConfig) -> list[WeightReceipt]:
        """Send the current weights from the ranks' GPUs to all ``receivers`` at once."""
        receipts: list[list[WeightReceipt]] = self._all("broadcast", receivers, gpus_per_engine, weights)
        return receipts[0]

    def export(self, target: str, progress: Progress) -> None:
        """Write the policy as a plain Hugging Face folder that transformers and vLLM load.

        Args:
            target: a folder, which appears whole, or a URI, where the `VERSION_FILE` comes last.
            progress: of the run, which that file tells.
        """
        if "://" in target:
            remote = RemoteFolder(target)
            remote.delete_file(VERSION_FILE)
            self._all("export", target)
            remote.write(VERSION_FILE, version_text(progress))
            return
        with whole_folder(target) as partial:
            self._all("export", str(partial))
            write_policy_version(partial, progress)

    def export_best(self, progress: Progress) -> None:
        """See `protocols.Learner.export_best`; it goes to ``policy-best``."""
        self.export(self._store.place(BEST), progress)

    def close(self) -> None:
        """Stop all ranks."""
        for rank in self._ranks:
            ray.kill(rank)

    def _all(self, method: str, *arguments: object) -> list[Any]:  # Any: what the method returns
        calls = [getattr(rank, method).remote(*arguments) for rank in self._ranks]
        return self._get(calls, self._config.update_deadline_s, method)

    def _get(self, calls: list[Any], deadline_s: float, phase: str) -> list[Any]:
        try:
            with own_errors():
                return ray.get(calls, timeout=deadline_s)
        except GetTimeoutError as error:
            raise self._hung(calls, deadline_s, phase) from error
        except LOST_ACTOR as error:
            raise LearnerLostError(f"a learner rank died during {phase}: {last_line(error)}") from error

    def _hung(self, calls: list[Any], deadline_s: float, phase: str) -> LearnerLostError:
        """Report what the ranks that have not answered were doing, and end them."""
        _, pending = ray.wait(calls, num_returns=len(calls), timeout=0, fetch_local=False)
        hung = [place for place, call in zip(self._places, calls, strict=False) if call in pending]
        for report in end_hung_processes(hung):
            logger.error("learner rank without an answer during %s: %s", phase, report)
        return LearnerLostError(f"the learner group did not finish {phase} within {deadline_s:.0f} s")
