"""Labels of any scale and direction on the scale of the scores: one linear map, two rules for where it begins and ends.

- ``found_ranges``: the lowest and highest label of each dataset. VisualQuality-R1, Q-Insight and DeQA-Score map so;
  here the rewards that compare a score with a label, files for those programs, and the spread of labels in validation.
- ``stated_ranges``: the ends of the study's own scale where rows state them. Annotations and evaluations go by these,
  because the labels at hand need not reach those ends.

Where a dataset has a scale that its labels do not fill, the rules give one picture two numbers. Rewards that only rank
need neither, but the direction (``oriented_mos``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.unique import grouped
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.types import SCALE, LabelledImage, Scale

LabelRanges = Mapping[str, tuple[float, float]]
"""Dataset -> both ends, on its own scale."""


def found_ranges(items: Iterable[ManifestRow | LabelledImage]) -> LabelRanges:
    """Lowest and highest label of each dataset; take them before splitting, as the field does."""
    return _ranges((item.dataset, item.mos, item.mos) for item in items)


def stated_ranges(rows: Iterable[ManifestRow]) -> LabelRanges:
    """Ends of each dataset's scale as its rows state them; a row that states no end counts with its label."""
    return _ranges(
        (
            row.dataset,
            row.mos if row.scale_min is None else row.scale_min,
            row.mos if row.scale_max is None else row.scale_max,
        )
        for row in rows
    )


def on_scale(
    labels: ArrayLike, low: ArrayLike, high: ArrayLike, higher_is_better: ArrayLike, scale: Scale = SCALE
) -> NDArray[np.float64]:
    """Labels mapped linearly from ``low``..``high`` to ``scale``, higher is better; shapes are broadcast.

    Raises:
        DataError: a range is empty.
    """
    mos, first, last = (np.asarray(values, dtype=np.float64) for values in (labels, low, high))
    if not (first < last).all():
        raise DataError(
            f"labels can be mapped to {scale.minimum:g}-{scale.maximum:g} only from a range, got {low!r} to {high!r}"
        )
    place = (mos - first) / (last - first)
    return scale.minimum + (scale.maximum - scale.minimum) * np.where(higher_is_better, place, 1.0 - place)


def oriented_mos(images: Sequence[LabelledImage]) -> NDArray[np.float64]:
    """[B] labels with higher is better: lower-is-better ones are negated, none is re-scaled."""
    return np.array([image.mos if image.higher_is_better else -image.mos for image in images], dtype=np.float64)


def labels_on_scale(images: Sequence[LabelledImage], ranges: LabelRanges, scale: Scale) -> NDArray[np.float64]:
    """[B] labels mapped linearly from their dataset's range to ``scale``, higher is better.

    Raises:
        ConfigError: a dataset's range is missing or empty.
    """
    for dataset in sorted({image.dataset for image in images}):
        low, high = ranges.get(dataset, (0.0, 0.0))
        if not low < high:
            raise ConfigError(
                f"mapping labels to {scale.minimum:g}-{scale.maximum:g} needs a label range with low < high for "
                f"dataset {dataset!r}, got {ranges.get(dataset)}; choose a reward term that only ranks, or more labels"
            )
    extremes = np.array([ranges[image.dataset] for image in images], dtype=np.float64).reshape(-1, 2)
    mos, better = [image.mos for image in images], [image.higher_is_better for image in images]
    return on_scale(mos, extremes[:, 0], extremes[:, 1], better, scale)


def rescaled(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Rows with labels mapped to 1 to 5, higher is better, by ``found_ranges``; the spread is rescaled with them.

    Raises:
        DataError: all labels of a dataset are equal.
    """
    ranges = found_ranges(rows)
    for dataset, (low, high) in ranges.items():
        if low == high:
            raise DataError(f"labels of dataset {dataset!r} must differ to be rescaled, but all are {low!r}")
    return [_rescaled(row, *ranges[row.dataset]) for row in rows]


def _rescaled(row: ManifestRow, low: float, high: float) -> ManifestRow:
    factor = (SCALE.maximum - SCALE.minimum) / (high - low)
    return replace(
        row,
        mos=float(on_scale(row.mos, low, high, row.direction == "higher")),
        mos_std=None if row.mos_std is None else factor * row.mos_std,
        direction="higher",
        scale_min=SCALE.minimum,
        scale_max=SCALE.maximum,
    )


def _ranges(ends: Iterable[tuple[str, float, float]]) -> LabelRanges:
    ends_of = grouped((dataset, end) for dataset, *both in ends for end in both)
    return {dataset: (min(own), max(own)) for dataset, own in ends_of.items()}
