"""What orchestration itself costs at scale: the driver's seconds and bytes for steps of thousands of groups.

Rollout workers are stand-ins that hand out ready-made groups at once; fleet, pool, reward actor, advantages, batching
and the hand-over to the learner are the real ones. Seconds are processor time of the driver, all its threads;
64 processes share this machine's cores, so wall time says little.

    .venv/bin/python benchmarks/control_plane.py [--workers 64] [--groups 4096]
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import ray

from actors.cluster.connection import connected
from actors.cluster.processes import ProcessPlace, announce_process
from actors.training.fleet import Fleet
from actors.training.reward import RemoteRewardScorer
from actors.training.rollout_pool import RolloutPool
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.config.learner import WeightTransferConfig
from ray_iqa.config.reward import RewardConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.grpo.advantages import group_relative_advantages
from ray_iqa.grpo.batch import build_training_batch
from ray_iqa.types import Completion, LabelledImage, RolloutGroup, SamplingSpec

NUM_DATASETS = 8  # images of a dataset are compared with each other
PROMPT_TOKENS = 1500  # an image of a million pixels and the question, Qwen2.5-VL
PARTS = ("sample", "reward", "batch", "hand over")


class ReadyWorker:
    """Answers every call at once, with completions of the length that a 7B policy writes."""

    def enter(self) -> ProcessPlace:
        """See `actors.training.rollout_worker.RolloutWorker.enter`."""
        return announce_process()

    def start(self) -> None:
        """There is no engine."""

    def sample(
        self,
        images: Sequence[LabelledImage],
        spec: SamplingSpec,
        max_unfinished: int = 0,  # noqa: ARG002 - the contract
    ) -> tuple[list[RolloutGroup], float]:
        """K completions for each image, their scores random."""
        rng = np.random.default_rng(len(images))
        return [ready_group(image, spec, rng) for image in images], 0.0


def ready_group(image: LabelledImage, spec: SamplingSpec, rng: np.random.Generator) -> RolloutGroup:
    """A group as a worker returns it."""
    thought = "The picture is slightly blurred and its colours are pale, but the subject is easy to recognise. " * 5
    completions = tuple(
        Completion(
            token_ids=rng.integers(0, 150_000, spec.max_tokens, dtype=np.int32),
            logprobs=rng.normal(size=spec.max_tokens).astype(np.float32),
            text=f"<think>{thought}</think><answer>{rng.uniform(1, 5):.2f}</answer>",
            finish_reason="stop",
        )
        for _ in range(spec.num_completions)
    )
    prompt = rng.integers(0, 150_000, PROMPT_TOKENS, dtype=np.int32)
    return RolloutGroup(image=image, prompt_token_ids=prompt, completions=completions, policy_version=0)


def labelled_images(count: int) -> list[LabelledImage]:
    """Images of several datasets."""
    rng = np.random.default_rng(0)
    return [
        LabelledImage(
            image_id=str(index),
            image_path=f"/data/pictures/{index:06d}.png",
            dataset=f"dataset-{index % NUM_DATASETS}",
            mos=float(rng.uniform(1, 5)),
            mos_std=None,
            higher_is_better=True,
        )
        for index in range(count)
    ]


def bytes_of(value: Any) -> int:  # noqa: ANN401 - whatever travels
    """What Ray writes when it sends ``value``."""
    context = ray._private.worker.global_worker.get_serialization_context()
    return int(context.serialize(value).total_bytes)


def cpu_s() -> float:
    """Processor time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(call: Callable[[], Any], into: list[float]) -> Any:  # noqa: ANN401 - what the call returns
    """Call, and note its processor time."""
    began = cpu_s()
    value = call()
    into.append(cpu_s() - began)
    return value


def main() -> None:
    """Run steps and print Markdown rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--groups", type=int, default=4096, help="per step")
    parser.add_argument("--completions", type=int, default=6, help="K, per group")
    parser.add_argument("--tokens", type=int, default=150, help="of a completion")
    parser.add_argument("--steps", type=int, default=3)
    arguments = parser.parse_args()

    with connected(ClusterConfig(device="cpu")):
        worker = ray.remote(ReadyWorker).options(num_cpus=0)
        rollout = VllmRolloutConfig(min_workers=arguments.workers, num_completions=arguments.completions)
        pool = RolloutPool(Fleet(lambda _slot: worker.remote(), rollout, WeightTransferConfig(), 900.0, lambda: ""))
        pool.wait_ready()
        scorer = RemoteRewardScorer(RewardConfig(), {None: prompt_by_id("thinking")}, {})
        report(*run_steps(pool, scorer, arguments), arguments)


def run_steps(
    pool: RolloutPool, scorer: RemoteRewardScorer, arguments: argparse.Namespace
) -> tuple[dict[str, list[float]], dict[str, int], list[float]]:
    """Processor seconds by part and step, bytes of the last step, wall seconds by step; the first step is left out."""
    images = labelled_images(arguments.groups)
    spec = SamplingSpec(
        num_completions=arguments.completions, temperature=1.0, top_k=0, top_p=1.0, max_tokens=arguments.tokens, seed=0
    )
    seconds: dict[str, list[float]] = {part: [] for part in PARTS}
    wall: list[float] = []
    for _ in range(arguments.steps + 1):
        began = time.perf_counter()
        groups = timed(partial(pool.sample, images, spec), seconds["sample"])
        table = timed(partial(scorer.score, groups), seconds["reward"])
        batch = timed(
            lambda groups=groups, table=table: build_training_batch(
                groups, group_relative_advantages(table.rewards, table.trainable), table.trainable
            ),
            seconds["batch"],
        )
        timed(partial(ray.put, batch), seconds["hand over"])
        wall.append(time.perf_counter() - began)
    sizes = {"sample": bytes_of(groups), "reward": bytes_of(groups) + bytes_of(table), "hand over": bytes_of(batch)}
    return {part: values[1:] for part, values in seconds.items()}, sizes, wall[1:]


def report(
    seconds: dict[str, list[float]], sizes: dict[str, int], wall: list[float], arguments: argparse.Namespace
) -> None:
    """Print what 1,000 groups cost."""
    thousands = arguments.groups / 1000
    print(
        f"{arguments.workers} workers, {arguments.groups:,} groups of {arguments.completions} completions of "
        f"{arguments.tokens} tokens per step, medians of {arguments.steps} steps; wall {statistics.median(wall):.1f} s"
    )
    print("| part | driver seconds per 1,000 groups | MB copied per 1,000 groups |")
    print("|---|---:|---:|")
    total = 0.0
    for part in PARTS:
        median = statistics.median(seconds[part]) / thousands
        total += median
        print(f"| {part} | {median:.3f} | {sizes.get(part, 0) / 1e6 / thousands:.1f} |")
    print(f"| all | {total:.3f} | {sum(sizes.values()) / 1e6 / thousands:.1f} |")


if __name__ == "__main__":
    main()
