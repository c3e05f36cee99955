"""Continuous submission beside parts that drain: two real engines, answers of very different lengths.

    .venv/bin/python benchmarks/submission.py [--images 16] [--slots 256] [--slowness 1]

Before, a step's images were cut into two parts per worker, and an engine drained to the longest answer of a part before
it got the next. Both sides use the same engines, a tiny policy with random weights on one thread each, and the same
seeds, in turns; every answer must be the same. So many tokens end an answer that their lengths are geometrically
distributed. The second engine can be slowed down: after each decoding step it waits a multiple of that step's time.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray
from rollout import noise_pictures

from actors.cluster.connection import connected, worker_environment
from actors.training.fleet import Fleet
from actors.training.rollout_pool import RolloutPool
from actors.training.rollout_worker import RolloutWorker
from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.config.learner import WeightTransferConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.types import LabelledImage, RolloutGroup, SamplingSpec

Answered = tuple[list[RolloutGroup], float]  # groups, and seconds in which an engine worked, of both together
MEAN_TOKENS = 24


class LongTailedWorker(RolloutWorker):
    """Ends answers early by chance, and decodes as slowly as it is told."""

    def __init__(self, policy: PolicyConfig, rollout: VllmRolloutConfig, slowness: float) -> None:
        super().__init__(policy, rollout)
        self._slowness = slowness

    def start(self) -> None:
        """See `RolloutWorker.start`."""
        super().start()
        inputs, engine = self._sampler.inputs, self._sampler._llm.llm_engine
        vocabulary = engine.vllm_config.model_config.get_vocab_size()
        drawn = [token for token in range(vocabulary) if token not in inputs.banned_token_ids]
        inputs.stop_token_ids = tuple(drawn[: len(drawn) // MEAN_TOKENS])
        step = engine.step

        def slow_step() -> Any:  # noqa: ANN401 - vLLM's outputs
            began = time.perf_counter()
            outputs = step()
            time.sleep((self._slowness - 1.0) * (time.perf_counter() - began))
            return outputs

        engine.step = slow_step


def start(policy: PolicyConfig, rollout: VllmRolloutConfig, slowness: float) -> tuple[RolloutPool, list[Any]]:
    """A pool of two engines, and their handles."""
    options = {"num_cpus": 0, "runtime_env": worker_environment(1, "cpu")}
    actor = ray.remote(LongTailedWorker).options(**options)
    workers = [actor.remote(policy, rollout, slow) for slow in (1.0, slowness)]
    pool = RolloutPool(Fleet(lambda slot: workers[slot], rollout, WeightTransferConfig(), 900.0, lambda: ""))
    pool.wait_ready()
    return pool, workers


def drained(workers: Sequence[Any], images: Sequence[LabelledImage], spec: SamplingSpec) -> Answered:
    """Two parts per worker, one at a time, to whoever has ended its part."""
    size = -(-len(images) // (2 * len(workers)))
    parts = [images[start : start + size] for start in range(0, len(images), size)]
    groups: list[RolloutGroup] = []
    busy_s, waiting, idle = 0.0, list(parts), list(workers)
    calls: dict[Any, Any] = {}
    while len(groups) < len(images):
        while waiting and idle:
            worker = idle.pop(0)
            calls[worker.sample.remote(waiting.pop(0), spec)] = worker
        for call in ray.wait(list(calls))[0]:
            sampled, seconds = ray.get(call)
            groups += sampled
            busy_s += seconds
            idle.append(calls.pop(call))
    order = {image: place for place, image in enumerate(images)}
    return sorted(groups, key=lambda group: order[group.image]), busy_s


def continuous(pool: RolloutPool, images: Sequence[LabelledImage], spec: SamplingSpec) -> Answered:
    """As in training."""
    groups = pool.sample(images, spec)
    return groups, pool.busy_s


def tokens_of(groups: Sequence[RolloutGroup]) -> list[list[int]]:
    """Every answer."""
    return [completion.token_ids.tolist() for group in groups for completion in group.completions]


def main() -> None:
    """Start both engines, let the sides take turns, print Markdown rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--completions", type=int, default=8, help="K, per image")
    parser.add_argument("--tokens", type=int, default=128, help=f"longest answer; the mean is about {MEAN_TOKENS}")
    parser.add_argument("--slots", type=int, default=256, help="rollout.max_num_seqs")
    parser.add_argument("--slowness", type=float, default=1.0, help="of the second engine")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with connected(ClusterConfig(device="cpu")), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        policy = PolicyConfig(model=str(build_tiny_policy(folder / "policy")), dtype="float32")
        rollout = VllmRolloutConfig(
            min_workers=2, max_model_len=512, kv_cache_gib=0.25, enforce_eager=True, max_num_seqs=arguments.slots
        )
        pool, workers = start(policy, rollout, arguments.slowness)
        images = noise_pictures(folder, arguments.images, start=0, side=112)
        compare({"drained": partial(drained, workers), "continuous": partial(continuous, pool)}, images, arguments)


def compare(
    sides: dict[str, Callable[[Sequence[LabelledImage], SamplingSpec], Answered]],
    images: Sequence[LabelledImage],
    arguments: argparse.Namespace,
) -> None:
    """Medians over the repeats; the first turn of each side is not counted."""
    wall: dict[str, list[float]] = {name: [] for name in sides}
    busy: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(arguments.repeats + 1):
        spec = SamplingSpec(
            num_completions=arguments.completions,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_tokens=arguments.tokens,
            seed=repeat,
        )
        answers = []
        for name, side in sides.items():
            began = time.perf_counter()
            groups, busy_s = side(images, spec)
            wall[name].append(time.perf_counter() - began)
            busy[name].append(busy_s)
            answers.append(tokens_of(groups))
        assert answers[0] == answers[1], "both sides draw the same answers"
    lengths = np.array([len(answer) for answer in answers[0]])
    print(
        f"{arguments.images} images x {arguments.completions} answers of {lengths.mean():.0f} tokens, the longest "
        f"{lengths.max()}, {arguments.slots} at a time in an engine; the second engine {arguments.slowness:g} x as slow"
    )
    print("| side | seconds | of both engines idle |")
    print("|---|---:|---:|")
    for name in sides:
        idle = [1.0 - work / (2 * total) for work, total in zip(busy[name][1:], wall[name][1:], strict=True)]
        print(f"| {name} | {statistics.median(wall[name][1:]):.2f} | {statistics.median(idle):.0%} |")
    ratios = [ours / before for ours, before in zip(wall["continuous"][1:], wall["drained"][1:], strict=True)]
    print(f"continuous / drained: {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}", flush=True)


if __name__ == "__main__":
    main()
