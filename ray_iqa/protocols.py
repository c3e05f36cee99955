"""The seams of the training loop. Implementations live in `backends`, `rewards`, `grpo` and `actors`."""

from collections.abc import Sequence
from typing import Protocol

from ray_iqa.types import (
    LabelledImage,
    LearnerUpdate,
    Progress,
    RewardTable,
    RolloutGroup,
    SamplingSpec,
    StepRecord,
    TrainingBatch,
)


class Sampler(Protocol):
    """Draws completions for images."""

    def sample(self, images: Sequence[LabelledImage], spec: SamplingSpec) -> list[RolloutGroup]:
        """K completions for each image, in the order of ``images``, stamped with the policy version."""

    def prepare(self, images: Sequence[LabelledImage]) -> None:
        """Begin what the coming `sample` of ``images`` needs that does not depend on the weights; not required."""


class RolloutSource(Protocol):
    """Decides which images a step samples and how far ahead sampling runs."""

    def batch_for(self, step: int) -> list[RolloutGroup]:
        """The groups of ``step`` (counted from 1), complete."""


class RewardScorer(Protocol):
    """Turns the answers of a whole step into rewards."""

    def score(self, groups: Sequence[RolloutGroup]) -> RewardTable:
        """Rewards of all groups of a step together; the result does not depend on who sampled what."""


class Learner(Protocol):
    """Owns the policy, the reference policy and the optimizer."""

    def update(self, batch: TrainingBatch) -> LearnerUpdate:
        """Take one optimizer step; the policy then has a new version, unless there was nothing to learn."""

    def save(self, progress: Progress) -> None:
        """Write a complete checkpoint, atomically; on return it survives any crash."""

    def restore(self) -> Progress:
        """Load the newest complete checkpoint, or start from the initial policy at step 0."""

    def discard(self, policy_version: int) -> None:
        """Delete the checkpoints of a version from which nothing can be learned."""

    def export_best(self, progress: Progress) -> None:
        """Keep the policy, which validated better than ever, beside the checkpoints."""


class WeightPublisher(Protocol):
    """Moves the learner's weights to the samplers."""

    def publish(self, policy_version: int) -> dict[str, float]:
        """On return every sampler answers with ``policy_version``. Returns ``publish/*`` metrics."""


class Evaluator(Protocol):
    """Measures the published policy on held-out images."""

    def evaluate(self) -> dict[str, float]:
        """``eval/<dataset>/srcc``, ``/plcc``, ... and ``eval/srcc``, the mean over datasets."""


class MetricSink(Protocol):
    """Keeps what steps leave behind."""

    def resume(self, step: int) -> None:
        """Forget everything after ``step``; called once, before the first `log`."""

    def log_start(self, metrics: dict[str, float]) -> None:
        """Record what was measured before the first step, as step 0."""

    def log(self, record: StepRecord) -> None:
        """Record one step; called once per step, in order."""


class StopRequest(Protocol):
    """Somebody's wish that a run end."""

    in_hand: str
    """What a request waits for, in words; empty: it ends the run at once."""

    def requested(self) -> bool:
        """Whether the run should end when what is in hand is saved."""
