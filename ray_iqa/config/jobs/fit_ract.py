"""The root configuration of `ray-iqa fit-ract`; only the composition root sees it whole."""

from collections.abc import Iterator

from pydantic import Field, NonNegativeInt, PositiveInt

from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.section import Section


class TextsConfig(Section):
    """The reasoning texts of several data sets."""

    annotations: list[str] = Field(min_length=1)
    """Run directories of `ray-iqa annotate`, or parquet files; usually one per data set, by that data set's policy."""
    scored_dataset: str | None = None
    """The one data set whose answers end with their label, mapped to 1-5: it keeps the format and scale of ratings."""
    texts_per_image: PositiveInt = 1


class RactScheduleConfig(Section):
    """How long the fit runs."""

    epochs: PositiveInt = 1
    images_per_step: PositiveInt = 64
    checkpoint_every: PositiveInt = 100
    """Steps."""


class FitRactConfig(Section):
    """Everything `ray-iqa fit-ract` needs."""

    run_dir: str
    """Gets checkpoints, curves and the exported policy; the same directory resumes."""
    seed: NonNegativeInt = 0
    policy: PolicyConfig
    texts: TextsConfig
    learner: DeepSpeedLearnerConfig
    schedule: RactScheduleConfig = RactScheduleConfig()
    cluster: ClusterConfig = ClusterConfig()

    def _disagreements(self) -> Iterator[str]:
        if self.learner.kl_coef != 0:
            yield f"learner.kl_coef must be 0, texts are learnt freely, got {self.learner.kl_coef}"
