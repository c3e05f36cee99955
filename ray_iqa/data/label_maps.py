"""Labels of any scale and direction on the scale of the scores: one linear map, two rules for where it begins and ends.

- ``found_ranges``: the lowest and highest label of each dataset. VisualQuality-R1, Q-Insight and DeQA-Score map so;
  here the rewards that compare a score with a label, files for those programs, and the spread of labels in validation.
- ``stated_ranges``: the ends of the study's own scale where rows state them. Annotations and evaluations go by these,
  because the labels at hand need not reach those ends.

Where a dataset has a scale that its labels do not fill, the rules give one picture two numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_iqa.data.rows import ManifestRow
from ray_iqa.errors import DataError
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
    ranges: dict[str, tuple[float, float]] = {}
    for dataset, low, high in ends:
        known_low, known_high = ranges.get(dataset, (low, high))
        ranges[dataset] = min(low, known_low), max(high, known_high)
    return ranges
