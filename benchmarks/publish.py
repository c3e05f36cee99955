"""A weight publish to four pulling workers on one machine beside a plain copy of the same bytes.

    python benchmarks/publish.py

Publisher, pool, fleet, the learner's snapshot and Ray's object store are the real ones. Learner and workers are
stand-ins for their engines: the learner's parameters lie in its memory, and a worker's install copies every tensor of
the snapshot into parameters of its own, as an engine does. A copy is numpy's, of the same bytes, between arrays that
have been written to before. All five processes and the copy share this machine's cores.
"""

import argparse
import statistics
import time

import numpy as np
import ray
import torch
from ray._private import internal_api  # Ray has no public count of stored bytes
from table import report

from actors.cluster.connection import connected
from actors.cluster.processes import ProcessPlace, announce_process
from actors.training.fleet import Fleet
from actors.training.rollout_pool import RolloutPool
from actors.training.weights import ObjectStorePublisher
from ray_iqa.backends.weights.manifest import snapshot_tensors
from ray_iqa.backends.weights.policy_weights import host_bytes
from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.config.learner import WeightTransferConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.types import TensorSpec, WeightReceipt, WeightSnapshot

TENSOR = (2048, 2048)  # float32: 16 MiB


class LearnerRank:
    """Parameters and nothing else."""

    def __init__(self, num_tensors: int) -> None:
        self.version = 0
        self._parameters = [torch.nn.Parameter(torch.randn(TENSOR)) for _ in range(num_tensors)]
        self._manifest = tuple(
            TensorSpec(name=f"layers.{number}", shape=TENSOR, dtype="float32") for number in range(num_tensors)
        )

    def snapshot(self) -> tuple[WeightSnapshot, bool]:
        """As `actors.training.learner.LearnerRank.snapshot`, of a learner that is not sharded."""
        self.version += 1
        values = tuple(host_bytes(parameter, lasting=True) for parameter in self._parameters)
        return WeightSnapshot(policy_version=self.version, manifest=self._manifest, values=values, canary=None), True


class Learner:
    """`LearnerGroup.snapshot` over one rank."""

    def __init__(self, rank: ray.actor.ActorHandle) -> None:
        self._rank = rank

    def snapshot(self, _config: WeightTransferConfig) -> "ray.ObjectRef[WeightSnapshot]":
        """Goes into the object store in the rank's process."""
        snapshot, done = self._rank.snapshot.options(num_returns=2).remote()
        ray.get(done)
        return snapshot


class Worker:
    """A rollout worker whose engine is a list of tensors."""

    def enter(self) -> ProcessPlace:
        """See `actors.training.rollout_worker.RolloutWorker.enter`."""
        return announce_process()

    def start(self) -> None:
        """Memory of the engine."""
        self._engine: dict[str, torch.Tensor] = {}

    def install(self, snapshot: WeightSnapshot, _canary_max_abs: float) -> WeightReceipt:
        """Copies what it pulled."""
        for name, tensor in snapshot_tensors(snapshot):
            if name not in self._engine:
                self._engine[name] = torch.zeros_like(tensor)
            self._engine[name].copy_(tensor)
        return WeightReceipt(
            policy_version=snapshot.policy_version, num_tensors=len(self._engine), canary_max_abs=float("nan")
        )


def main() -> None:
    """Publish and copy in turns; report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()

    with connected(ClusterConfig(device="cpu")):
        rank = ray.remote(LearnerRank).options(num_cpus=0).remote(arguments.mib * 2**20 // (4 * TENSOR[0] * TENSOR[1]))
        worker = ray.remote(Worker).options(num_cpus=0)
        rollout, transfer = VllmRolloutConfig(min_workers=arguments.workers), WeightTransferConfig()
        pool = RolloutPool(Fleet(lambda _slot: worker.remote(), rollout, transfer, 900.0, lambda: ""))
        pool.wait_ready()
        learner = Learner(rank)
        publisher = ObjectStorePublisher(learner, pool, transfer)
        source = np.ones(arguments.mib * 2**20, dtype=np.uint8)
        target = np.zeros_like(source)
        target.fill(2)

        rows = []
        for version in range(1, arguments.repeats + 3):  # the first two fill memory that later ones reuse
            began = time.perf_counter()
            np.copyto(target, source)
            copied = time.perf_counter() - began
            parts = publisher.publish(version)
            rows.append((copied, parts["publish/pack_seconds"], parts["publish/install_seconds"]))
        stored = stored_copies(arguments.mib * 2**20)
        copied, put, installed = (statistics.median(values) for values in zip(*rows[2:], strict=True))
        published = statistics.median(sum(row[1:]) for row in rows[2:])
        gigabytes = arguments.mib * 2**20 / 1e9
        size = f"{gigabytes:.2f} GB snapshot, {arguments.workers} pulling workers"
        figures = f"{published:.3f} s (store {put:.3f}, install {installed:.3f}) / {copied:.3f} s"
        report(f"weight publish, {size}, against one copy", published / copied, "<= 6", figures)
        report(f"stored copies, {size}", stored, "<= 1.05", "bytes in the object store / bytes of the snapshot")
        pool.close()


def stored_copies(num_bytes: int) -> float:
    """What Ray's store holds over the bytes of one snapshot, once freed objects are gone."""
    time.sleep(2.0)
    state = internal_api.get_state_from_address(ray.get_runtime_context().gcs_address)
    reply = internal_api.get_memory_info_reply(state)
    return float(reply.store_stats.object_store_bytes_used) / num_bytes


if __name__ == "__main__":
    main()
