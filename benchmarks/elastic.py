"""The rollout pool under Ray's autoscaler: from 1 worker to 4 while sampling is long, and back when it is short.

Engines are stand-ins that sleep in proportion to images and answer length, so that two cores show what four GPU nodes
would do. Pool, fleet, sizing rule, Ray and its autoscaler are the real ones; nodes are processes of this machine. Last,
a run asks for twice the CPUs that the autoscaler may ever start, and is refused.

    .venv/bin/python benchmarks/elastic.py [--images 32] [--seconds-per-image 0.1]
"""

import argparse
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from autoscaling_cluster import autoscaling_cluster

from actors.cluster.autoscaler import autoscaler_activity
from actors.cluster.placement import Layout, require, reserved, supply
from actors.cluster.processes import ProcessPlace, announce_process
from actors.training.elastic_rollouts import ElasticRollouts
from actors.training.fleet import Fleet
from actors.training.fleet_size import FleetSize
from actors.training.rollout_pool import RolloutPool
from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.config.learner import WeightTransferConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.errors import ResourceError
from ray_iqa.grpo.rollouts import OnPolicyRollouts
from ray_iqa.types import Completion, LabelledImage, RolloutGroup, SamplingSpec

MOST_WORKERS = 4
LONG, SHORT = 1000, 1  # tokens of an answer
LEARNER_S = 0.3
IDLE_S = 6.0
GIVE_UP_S = 300.0


class SleepingWorker:
    """Samples nothing, in the time an engine would take."""

    def __init__(self, seconds_per_image: float) -> None:
        self._seconds_per_image = seconds_per_image

    def enter(self) -> ProcessPlace:
        """See `actors.training.rollout_worker.RolloutWorker.enter`."""
        return announce_process()

    def start(self) -> None:
        """There is no engine."""

    def prepare(self, images: Sequence[LabelledImage]) -> None:
        """There is nothing to read."""

    def sample(
        self,
        images: Sequence[LabelledImage],
        spec: SamplingSpec,
        max_unfinished: int = 0,  # noqa: ARG002 - the contract
    ) -> tuple[list[RolloutGroup], float]:
        """One empty completion per image."""
        seconds = len(images) * self._seconds_per_image * spec.max_tokens / LONG
        time.sleep(seconds)
        nothing = np.zeros(0, np.int32)
        answer = Completion(token_ids=nothing, logprobs=np.zeros(0, np.float32), text="", finish_reason="stop")
        groups = [
            RolloutGroup(image=image, prompt_token_ids=nothing, completions=(answer,), policy_version=0)
            for image in images
        ]
        return groups, seconds


@dataclass(frozen=True)
class Batches:
    """The same images at every step."""

    num_images: int

    def for_step(self, step: int) -> list[LabelledImage]:
        """Images named by step and place."""
        names = [f"{step}-{i}" for i in range(self.num_images)]
        return [
            LabelledImage(image_id=name, image_path=name, dataset="d", mos=1.0, mos_std=None, higher_is_better=True)
            for name in names
        ]


class Run:
    """Steps of sampling and a sleeping learner, and what they showed."""

    def __init__(self, num_images: int, seconds_per_image: float) -> None:
        rollout = VllmRolloutConfig(min_workers=1, max_workers=MOST_WORKERS)
        actor = ray.remote(SleepingWorker).options(num_cpus=1)
        fleet = Fleet(
            lambda _slot: actor.remote(seconds_per_image),
            rollout,
            WeightTransferConfig(),
            wait_s=GIVE_UP_S,
            needs=lambda: supply({"CPU": 1.0}),
        )
        self.pool = RolloutPool(fleet)
        self._tokens = LONG
        on_policy = OnPolicyRollouts(self.pool, Batches(num_images), self._spec)
        self._rollouts = ElasticRollouts(on_policy, self.pool, FleetSize(1, MOST_WORKERS, overlapped=False))
        self._step = 0

    def until(self, tokens: int, nodes: int) -> dict[str, Any]:
        """Steps with answers of ``tokens`` until the cluster has so many nodes; the last step's row."""
        self._tokens = tokens
        deadline = time.monotonic() + GIVE_UP_S
        while True:
            row = self.step()
            if row["nodes"] == nodes == row["rollout/workers_ready"]:
                return self.step()
            if time.monotonic() > deadline:
                raise SystemExit(f"no {nodes} nodes within {GIVE_UP_S:.0f} s; {supply({'CPU': 1.0})}")

    def step(self) -> dict[str, Any]:
        """One step, printed as a line of JSON."""
        self._step += 1
        began = time.perf_counter()
        self._rollouts.batch_for(self._step)
        time.sleep(LEARNER_S)
        row = {"step": self._step, "tokens": self._tokens, "seconds": round(time.perf_counter() - began, 3)}
        row |= {name: value for name, value in self.pool.metrics().items() if "workers_" in name}
        row |= {"nodes": sum(node["Alive"] for node in ray.nodes()), "autoscaler": autoscaler_activity()}
        print(json.dumps(row), flush=True)
        return row

    def _spec(self, _step: int) -> SamplingSpec:
        return SamplingSpec(num_completions=2, temperature=1.0, top_k=0, top_p=1.0, max_tokens=self._tokens, seed=0)


def ask_for_too_much() -> dict[str, Any]:
    """What a run hears, and after how many seconds, that needs 2 x ``MOST_WORKERS`` nodes."""
    bundles = ({"CPU": 1.0},) * (2 * MOST_WORKERS)
    layout = Layout(bundles=bundles, rollout_bundles=(), learner_bundles=(), gpus_per_rollout=0, gpus_per_rank=0)
    began = time.perf_counter()
    try:
        with reserved(layout, ClusterConfig(device="cpu", wait_s=GIVE_UP_S)):
            raise SystemExit(f"{len(bundles)} CPUs were granted where {MOST_WORKERS} can exist")
    except ResourceError as error:
        return {"refused": str(error), "after_seconds": round(time.perf_counter() - began, 1)}


def main() -> None:
    """Grow, shrink, and print the step time at both ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--seconds-per-image", type=float, default=0.1)
    options = parser.parse_args()
    with autoscaling_cluster(head_cpus=1, worker_cpus=1, most_workers=MOST_WORKERS - 1, idle_s=IDLE_S) as address:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        run = Run(options.images, options.seconds_per_image)
        alone = run.step()
        require({"CPU": float(MOST_WORKERS)})  # more than there is, but not more than may come
        all_there = run.until(LONG, MOST_WORKERS)
        run.until(SHORT, 1)
        run.pool.close()
        print(json.dumps(ask_for_too_much()), flush=True)
        ray.shutdown()
    ideal = (options.images * options.seconds_per_image / MOST_WORKERS + LEARNER_S) / alone["seconds"]
    ratio = all_there["seconds"] / alone["seconds"]
    print(f"| step with 1 worker | with {MOST_WORKERS} | ratio | ideal ratio |")
    print(f"| {alone['seconds']} s | {all_there['seconds']} s | {ratio:.2f} | {ideal:.2f} |")


if __name__ == "__main__":
    main()
