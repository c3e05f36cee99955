"""The root configuration of `ray-iqa fit-ract`; only the composition root sees it whole."""

from pydantic import Field, PositiveInt

from ray_iqa.config.jobs.supervised import SupervisedConfig
from ray_iqa.config.section import Section


class TextsConfig(Section):
    """The reasoning texts of several data sets."""

    annotations: list[str] = Field(min_length=1)
    """Run directories of `ray-iqa annotate`, or parquet files; usually one per data set, by that data set's policy."""
    scored_dataset: str | None = None
    """The one data set whose answers end with their label, mapped to 1-5: it keeps the format and scale of ratings."""
    texts_per_image: PositiveInt = 1


class FitRactConfig(SupervisedConfig):
    """Everything `ray-iqa fit-ract` needs."""

    texts: TextsConfig
