"""The root configuration of `ray-iqa eval`; only the composition root sees it whole."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.config.policy import QuestionConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.config.section import Section

Decoding = Literal["sampled", "greedy", "expected"]
SuiteName = Literal["visualquality-r1", "rali"]


class EvalConfig(Section):
    """Everything `ray-iqa eval` needs; the command line fills models, data and out."""

    models: list[str] = Field(min_length=1)
    """Policy folder or hub name, folder of a light scorer, csv:FILE:COLUMN, http://HOST:PORT, pyiqa:METRIC; NAME=MODEL
    says how it is called in the results."""
    data: list[str] = Field(min_length=1)
    """Manifests, or NAME=FOLDER of a public dataset as distributed; @SPLIT behind takes one split."""
    out: str
    """Folder of the results; files of an earlier evaluation are replaced."""
    suite: SuiteName | None = None
    """Paper whose tables are laid out beside the results."""
    seed: NonNegativeInt = 0
    """Of sampled answers, simulations and random splits."""
    decoding: Decoding = "sampled"
    """Of policies. sampled: mean of rollout.num_completions answers. greedy: one answer at temperature 0. expected: the
    numbers that could stand in the greedy answer, weighted with their probabilities."""
    num_ratings: dict[str, PositiveInt] = Field(default_factory=dict)
    """Ratings per image by dataset, for what label noise decides (ceiling, outlier ratio, AUC of pairs); known of
    some public datasets."""
    batch_size: PositiveInt = 64
    """Images per call of a model."""
    num_workers: PositiveInt = 1
    """Processes of a model that is no policy; a policy has rollout.min_workers engines."""
    policy: QuestionConfig = QuestionConfig()
    rollout: VllmRolloutConfig = VllmRolloutConfig()
    cluster: ClusterConfig = ClusterConfig(device="cpu")
