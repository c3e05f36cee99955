"""The training loop: sample, reward, learn, publish."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_iqa.config.train import ScheduleConfig
from ray_iqa.errors import ConfigError
from ray_iqa.grpo.batch import build_training_batch
from ray_iqa.grpo.idle_steps import IdleSteps, ruins_discarded, why_idle
from ray_iqa.protocols import (
    Evaluator,
    Learner,
    MetricSink,
    RewardScorer,
    RolloutSource,
    StopRequest,
    WeightPublisher,
)
from ray_iqa.rewards.metrics import reward_metrics
from ray_iqa.telemetry.clock import StepClock
from ray_iqa.types import Answer, LabelledImage, ParseFailure, Progress, RewardTable, RolloutGroup, StepRecord

Redraw = Callable[[Sequence[LabelledImage], int, int], list[RolloutGroup]]
Advantages = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """The cast of a run; each member hides its engine."""

    rollouts: RolloutSource
    reward_scorer: RewardScorer
    advantages: Advantages  # (rewards [B, K], trainable [B, K]) -> [B, K]
    redraw: Redraw  # (images, step, attempt from 1) -> their groups, sampled anew
    max_redraws: int  # 0: a group without advantage is kept as it is
    learner: Learner
    weights: WeightPublisher
    evaluator: Evaluator
    metrics: MetricSink
    read_answer: Callable[[str, str | None], Answer | ParseFailure]  # text, `LabelledImage.question`
    rollout_metrics: Callable[[], dict[str, float]]  # what the samplers say about the newest step
    stop: StopRequest


def train(run: TrainingRun, schedule: ScheduleConfig) -> Progress:
    """Run the loop from the last checkpoint to ``schedule.num_steps``, or until a stop is requested.

    Raises:
        ConfigError: the policy learns nothing.
    """
    progress = run.learner.restore()
    if progress.step >= schedule.num_steps and progress.policy_version == 0:
        raise ConfigError(f"none of the run's {progress.step} steps was an update: give it a larger schedule.num_steps")
    with ruins_discarded(run.learner, progress):
        _learn(run, schedule, progress)
    return progress


def _learn(run: TrainingRun, schedule: ScheduleConfig, progress: Progress) -> None:
    run.metrics.resume(progress.step)
    run.weights.publish(progress.policy_version)  # samplers begin on the learner's weights

    if progress.step == 0:
        run.metrics.log_start(_validate(run, progress))

    clock, idle = StepClock(), IdleSteps()
    for step in range(progress.step + 1, schedule.num_steps + 1):
        run.stop.in_hand = f"step {step}, then saving"
        with clock("rollout"):
            groups = run.rollouts.batch_for(step)  # B groups of K completions
        groups, table, advantages, num_redrawn = _rewarded(run, step, groups, clock)  # [B, K]
        batch = build_training_batch(groups, advantages, table.trainable, keep_without_advantage=run.max_redraws == 0)
        with clock("learn"):
            update = run.learner.update(batch)
        row = {**update.metrics, **reward_metrics(groups, table, advantages), **run.rollout_metrics()}
        row["group/redrawn"] = float(num_redrawn)
        row["policy/staleness"] = float(progress.policy_version - batch.policy_version)
        learned = update.policy_version > progress.policy_version
        progress.step, progress.policy_version = step, update.policy_version
        if learned:
            with clock("publish"):
                row |= run.weights.publish(update.policy_version)

        finished = step == schedule.num_steps
        if step % schedule.evaluate_every == 0 or finished:
            with clock("evaluate"):
                row |= _validate(run, progress)
        row |= clock.lap()
        with clock("log"):
            run.metrics.log(
                StepRecord(step=step, metrics=row, groups=tuple(groups), table=table, advantages=advantages)
            )
        why = None if learned else why_idle(batch, groups, table, run.read_answer, progress.policy_version)
        idle.note(step, why, never_learned=finished and progress.policy_version == 0)
        if step % schedule.checkpoint_every == 0 or finished or run.stop.requested():
            with clock("checkpoint"):
                run.learner.save(progress)
            if run.stop.requested():  # asked while it was saved, too
                break


def _rewarded(
    run: TrainingRun, step: int, groups: list[RolloutGroup], clock: StepClock
) -> tuple[list[RolloutGroup], RewardTable, NDArray[np.float32], int]:
    """Rewards and advantages of a step's groups; those without advantage are sampled again first (dynamic sampling).

    The last value says how many were.

    Departure from DAPO (arXiv 2503.14476): the same images are asked again, for others would lack their opponents; and
    all groups are rewarded together each time, for a reward here depends on the others.
    """
    num_redrawn = 0
    for attempt in range(run.max_redraws + 1):
        with clock("reward"):
            table = run.reward_scorer.score(groups)
        advantages = run.advantages(table.rewards, table.trainable)
        without = [group.image for group, row in zip(groups, advantages, strict=True) if not row.any()]
        if not without or attempt == run.max_redraws:
            break
        with clock("rollout"):
            redrawn = {group.image: group for group in run.redraw(without, step, attempt + 1)}
        groups = [redrawn.get(group.image, group) for group in groups]
        num_redrawn += len(redrawn)
    return groups, table, advantages, num_redrawn


def _validate(run: TrainingRun, progress: Progress) -> dict[str, float]:
    """Measure the published policy, and keep it if none before was better; the initial one is at hand anyway."""
    found = run.evaluator.evaluate()
    if progress.validated(found["eval/srcc"]) and progress.policy_version > 0:
        run.learner.export_best(progress)
    return found
