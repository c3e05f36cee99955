"""Which pictures a job works on."""

from pydantic import Field, PositiveInt

from ray_iqa.config.section import Section


class PicturesConfig(Section):
    """Sources, each a file, folder, pattern or URL."""

    sources: list[str] = Field(min_length=1)
    """Manifests, lists with a ``path`` column alone (csv, jsonl, parquet), folders searched in depth, patterns, or URLs
    of a prefix, pattern or file in an object store (``s3://``, ``gs://``, ...)."""
    split: str | None = "train"
    """Rows of manifests whose ``split`` column has this value; None takes every row."""
    dataset: str = "images"
    """Name of the data set that pictures without a manifest belong to."""
    max_per_dataset: PositiveInt | None = None
    """The first ones in an order that depends on the image ids only."""
