"""How far a fitted mapping could move with another draw of contents.

The mapping without some images is searched from the one that was kept, not from twelve starts: the best one is near,
and a plot needs up to 200 of them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import scores_and_labels
from ray_iqa.statistics.jackknife import Rows, checked_contents, jackknife
from ray_iqa.statistics.mapping import Form, Mapping, fit_mapping

Vector = NDArray[np.float64]


def mapping_band(
    predictions: ArrayLike,
    labels: ArrayLike,
    mapping: Mapping,
    at: ArrayLike,
    *,
    contents: Sequence[str] | None = None,
    seed: int = 0,
) -> tuple[Vector, Vector]:
    """Pointwise 95 % band of ``mapping``, by the same jackknife as the intervals of correlations.

    Args:
        predictions: [n] that ``mapping`` was fitted to.
        labels: [n], likewise.
        mapping: of `fit_mapping`.
        at: [m] predictions where the band is wanted.
        contents: [n], the reference of each image; None where every image is a content of its own.
        seed: as for `jackknife`.

    Returns:
        Lower and upper end, [m] each; NaN with too few contents.

    Raises:
        StatisticsError: lengths differ.
    """
    x, y = scores_and_labels(predictions, labels)
    form: Form = "logistic5" if mapping.form == "logistic5" else "logistic4"
    places = np.asarray(at, dtype=np.float64)

    def curve(rows: Rows) -> Vector:
        if len(rows) == len(x):
            return mapping(places)
        try:
            return fit_mapping(x[rows], y[rows], form, near=mapping)(places)
        except StatisticsError:  # what is left has no mapping
            return np.full_like(places, np.nan)

    return jackknife(curve, checked_contents(contents, len(x)), seed=seed).interval
