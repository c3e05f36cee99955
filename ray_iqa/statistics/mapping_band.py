"""How far a fitted mapping could move with another draw of images.

The mapping of each resample is searched from the one that was kept, not from twelve starts: a resample's best
mapping is near, and a plot needs hundreds of them.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_iqa.statistics.correlation import checked_pair
from ray_iqa.statistics.mapping import Form, Mapping, fit_mapping

Vector = NDArray[np.float64]


def mapping_band(
    predictions: ArrayLike,
    labels: ArrayLike,
    mapping: Mapping,
    at: ArrayLike,
    *,
    seed: int = 0,
    num_resamples: int = 200,
) -> tuple[Vector, Vector]:
    """Pointwise bootstrap 95 % band of ``mapping``, images drawn with replacement.

    Args:
        predictions: [n] that ``mapping`` was fitted to.
        labels: [n], likewise.
        mapping: of `fit_mapping`.
        at: [m] predictions where the band is wanted.
        seed: the same seed gives the same band.
        num_resamples: draws.

    Returns:
        Lower and upper end, [m] each.

    Raises:
        StatisticsError: lengths differ.
    """
    x, y = checked_pair(predictions, labels)
    form: Form = "logistic5" if mapping.form == "logistic5" else "logistic4"
    places = np.asarray(at, dtype=np.float64)
    rng = np.random.default_rng(seed)
    curves = []
    for _ in range(num_resamples):
        drawn = rng.integers(len(x), size=len(x))
        if np.ptp(x[drawn]) > 0:  # else it has no mapping
            curves.append(fit_mapping(x[drawn], y[drawn], form, near=mapping)(places))
    low, high = np.percentile(curves, [2.5, 97.5], axis=0)
    return low, high
