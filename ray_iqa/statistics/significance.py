"""Is one scorer really better than another: tests for scorers that saw the same images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import pearsonr

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import checked_pair


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceComparison:
    """Pitman-Morgan test of two variances measured on the same images."""

    ratio: float  # variance of the first residuals over that of the second; below 1 the first scorer is closer
    p_value: float  # two-sided


def pitman_morgan(first_residuals: ArrayLike, second_residuals: ArrayLike) -> VarianceComparison:
    """Compare residuals (labels minus mapped predictions) of two scorers on the same images.

    The customary F-test takes the two samples for independent, which they are not: Zhu et al., "The Pitman test for
    objective quality metrics", IEEE Signal Processing Magazine 2018. Sum and difference of paired values are
    correlated exactly when their variances differ.

    Args:
        first_residuals: [n].
        second_residuals: [n].

    Raises:
        StatisticsError: fewer than three images, a constant side, or residuals that differ by a constant.
    """
    a, b = checked_pair(first_residuals, second_residuals)
    total, gap = a + b, a - b
    if len(a) < 3 or not np.isfinite(total).all() or min(np.ptp(total), np.ptp(gap), np.ptp(b)) == 0:
        raise StatisticsError(
            "a Pitman-Morgan test needs at least three images with finite residuals that differ between the scorers"
        )
    return VarianceComparison(ratio=float(a.var() / b.var()), p_value=float(pearsonr(total, gap).pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction for several tests at once (Holm 1979), in the order given.

    Raises:
        StatisticsError: a value does not lie in 0 to 1.
    """
    for p_value in p_values:
        if not 0 <= p_value <= 1:
            raise StatisticsError(f"p-values must lie in 0 to 1, got {p_value!r}")
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
