"""The root configuration of `ray-iqa sft`, and what `fit-ract` shares with it."""

from collections.abc import Iterator

from pydantic import Field, NonNegativeInt, PositiveInt

from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.section import Section


class SupervisedScheduleConfig(Section):
    """How long the fit runs."""

    epochs: PositiveInt = 1
    images_per_step: PositiveInt = 64
    checkpoint_every: PositiveInt = 100
    """Steps."""


class SupervisedConfig(Section):
    """A policy that learns given texts."""

    run_dir: str
    """Gets checkpoints, curves and the exported policy; the same directory resumes."""
    seed: NonNegativeInt = 0
    wandb: str | None = None
    """PROJECT or ENTITY/PROJECT of Weights & Biases that shows the curves beside TensorBoard; null: none."""
    policy: PolicyConfig
    learner: DeepSpeedLearnerConfig
    schedule: SupervisedScheduleConfig = SupervisedScheduleConfig()
    cluster: ClusterConfig = ClusterConfig()

    def _disagreements(self) -> Iterator[str]:
        if self.learner.kl_coef != 0:
            yield f"learner.kl_coef must be 0, texts are learnt freely, got {self.learner.kl_coef}"
        if self.policy.questions:
            yield f"policy.questions must be left out, texts bring theirs, got {', '.join(self.policy.questions)}"


class SftConfig(SupervisedConfig):
    """Everything `ray-iqa sft` needs."""

    chats: list[str] = Field(min_length=1)
    """jsonl files whose rows hold a picture, a question and its answer, see docs/training.md."""
