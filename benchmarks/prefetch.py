"""The training loop prefetched by one step beside the same loop on-policy, sampling and learning equally long.

    python benchmarks/prefetch.py

Sampler and learner are stand-ins that sleep; `ray_iqa.training.train`, both rollout sources, the lock between sampling
and publishing, reward, advantages and batching are the real ones. N steps take 2N sleeps on-policy and N + 1
prefetched: the first sampling has nothing to hide behind.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from threading import Lock

import numpy as np
from table import report

from ray_iqa.answers.parse import parse
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.reward import RewardConfig
from ray_iqa.config.train import ScheduleConfig
from ray_iqa.grpo.advantages import group_relative_advantages
from ray_iqa.grpo.rollouts import OnPolicyRollouts, PrefetchedRollouts
from ray_iqa.protocols import RolloutSource
from ray_iqa.rewards.scorer import GroupRewardScorer
from ray_iqa.training import TrainingRun, train
from ray_iqa.types import (
    Completion,
    LabelledImage,
    LearnerUpdate,
    Progress,
    RolloutGroup,
    SamplingSpec,
    StepRecord,
    TrainingBatch,
)

IMAGES = 32


class StandIn:
    """Every engine of a run: sampling and learning sleep, publishing waits for running sampling."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.weights_fixed = seconds, Lock()
        self.version = 0
        self.staleness: list[float] = []

    def for_step(self, step: int) -> list[LabelledImage]:
        """See `grpo.rollouts.Batches`."""
        return [
            LabelledImage(
                image_id=f"{step}-{number}",
                image_path="",
                dataset="one",
                mos=float(number),
                mos_std=None,
                higher_is_better=True,
            )
            for number in range(IMAGES)
        ]

    def sample(self, images: Sequence[LabelledImage], spec: SamplingSpec) -> list[RolloutGroup]:
        """See `protocols.Sampler`; scores are random."""
        version, rng = self.version, np.random.default_rng(spec.seed)
        time.sleep(self.seconds)
        nothing = np.zeros(1, dtype=np.int32)
        return [
            RolloutGroup(
                image=image,
                prompt_token_ids=nothing,
                completions=tuple(
                    Completion(
                        token_ids=nothing,
                        logprobs=np.zeros(1, dtype=np.float32),
                        text=f"<think></think><answer>{score:.2f}</answer>",
                        finish_reason="stop",
                    )
                    for score in rng.uniform(1, 5, spec.num_completions)
                ),
                policy_version=version,
            )
            for image in images
        ]

    def prepare(self, images: Sequence[LabelledImage]) -> None:
        """See `protocols.Sampler`."""

    def update(self, batch: TrainingBatch) -> LearnerUpdate:
        """See `protocols.Learner`."""
        assert len(batch.groups) == IMAGES
        time.sleep(self.seconds)
        return LearnerUpdate(policy_version=self.version + 1, metrics={})

    def publish(self, policy_version: int) -> dict[str, float]:
        """See `protocols.WeightPublisher`."""
        with self.weights_fixed:
            self.version = policy_version
        return {}

    def restore(self) -> Progress:
        """See `protocols.Learner`."""
        return Progress()

    def save(self, progress: Progress) -> None:
        """See `protocols.Learner`."""

    def export_best(self, progress: Progress) -> None:
        """See `protocols.Learner`."""

    def evaluate(self) -> dict[str, float]:
        """See `protocols.Evaluator`."""
        return {"eval/srcc": 0.0}

    def resume(self, step: int) -> None:
        """See `protocols.MetricSink`."""

    def log_start(self, metrics: dict[str, float]) -> None:
        """See `protocols.MetricSink`."""

    def log(self, record: StepRecord) -> None:
        """See `protocols.MetricSink`."""
        self.staleness.append(record.metrics["policy/staleness"])


def main() -> None:
    """Let both take turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.2, help="of one sampling, and of one update")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(arguments.repeats):
        for prefetched, seconds in taken.items():
            seconds.append(run(arguments.steps, arguments.seconds, prefetched=prefetched))
    on_policy, ahead = (statistics.median(taken[prefetched]) for prefetched in (False, True))
    claim = f"prefetch, {arguments.steps} steps, sampling and learning {arguments.seconds} s each, against on-policy"
    figures = f"{on_policy / arguments.steps:.3f} / {ahead / arguments.steps:.3f} s per step"
    report(claim, on_policy / ahead, ">= 1.7", figures)


def run(steps: int, seconds: float, *, prefetched: bool) -> float:
    """Wall time of one run of the loop; its staleness must be 0 on-policy, else 1 after the first step."""
    stand_in = StandIn(seconds)
    source: RolloutSource
    source = on_policy = OnPolicyRollouts(stand_in, stand_in, spec)
    with ExitStack() as stack:
        if prefetched:
            source = PrefetchedRollouts(on_policy, steps, checkpoint_every=steps, weights_fixed=stand_in.weights_fixed)
            stack.callback(source.close)
        cast = TrainingRun(
            rollouts=source,
            reward_scorer=GroupRewardScorer(RewardConfig(), {None: prompt_by_id("thinking")}),
            advantages=group_relative_advantages,
            learner=stand_in,
            weights=stand_in,
            evaluator=stand_in,
            metrics=stand_in,
            read_answer=lambda text, _: parse(text, prompt_by_id("thinking")),
            redraw=lambda *_: [],
            max_redraws=0,
            rollout_metrics=dict,
            stop_requested=lambda: False,
        )
        began = time.perf_counter()
        train(cast, ScheduleConfig(num_steps=steps, evaluate_every=steps, checkpoint_every=steps))
        taken = time.perf_counter() - began
    assert stand_in.staleness == [0.0] + [float(prefetched)] * (steps - 1), stand_in.staleness
    return taken


def spec(step: int) -> SamplingSpec:
    """How a step is sampled."""
    return SamplingSpec(num_completions=8, temperature=1.0, top_k=0, top_p=1.0, max_tokens=1, seed=step)


if __name__ == "__main__":
    main()
