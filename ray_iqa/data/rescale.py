"""Labels of any scale and direction on the 1 to 5 scale that the interchange formats expect."""

from collections.abc import Sequence
from dataclasses import replace

from ray_iqa.data.rows import ManifestRow
from ray_iqa.errors import DataError

LOW, HIGH = 1.0, 5.0


def rescaled(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Rows with labels mapped linearly to 1 to 5, higher is better, by the extremes of each whole dataset.

    The spread is rescaled with the labels. Take the extremes before splitting, as the field does.

    Raises:
        DataError: all labels of a dataset are equal.
    """
    labels_of: dict[str, list[float]] = {}
    for row in rows:
        labels_of.setdefault(row.dataset, []).append(row.mos)
    ends = {dataset: (min(labels), max(labels)) for dataset, labels in labels_of.items()}
    for dataset, (low, high) in ends.items():
        if low == high:
            raise DataError(f"labels of dataset {dataset!r} must differ to be rescaled, but all are {low!r}")
    return [_on_scale(row, *ends[row.dataset]) for row in rows]


def _on_scale(row: ManifestRow, low: float, high: float) -> ManifestRow:
    factor = (HIGH - LOW) / (high - low)
    above_worst = row.mos - low if row.direction == "higher" else high - row.mos
    return replace(
        row,
        mos=LOW + factor * above_worst,
        mos_std=None if row.mos_std is None else factor * row.mos_std,
        direction="higher",
        scale_min=LOW,
        scale_max=HIGH,
    )
