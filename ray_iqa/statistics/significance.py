"""Is one scorer really better than another: tests for scorers that saw the same images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import checked_pair
from ray_iqa.statistics.jackknife import Rows, checked_contents, jackknife


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceComparison:
    """Two variances measured on the same images."""

    ratio: float  # variance of the first residuals over that of the second; below 1 the first scorer is closer
    p_value: float  # two-sided; NaN with too few contents


def compare_variances(
    first_residuals: ArrayLike, second_residuals: ArrayLike, *, contents: Sequence[str] | None = None, seed: int = 0
) -> VarianceComparison:
    """Compare residuals (labels minus mapped predictions) of two scorers, by the jackknife of the log of their ratio.

    The customary tests take images for independent (Pitman-Morgan) and the two scorers too (F-test), which versions
    of one content and scorers of one dataset are not. The mappings stay as fitted to all images: at a least-squares
    fit the variance does not move with the parameters, to first order.

    Args:
        first_residuals: [n].
        second_residuals: [n].
        contents: [n], of each image; None where every image is a content of its own.
        seed: as for `jackknife`.

    Raises:
        StatisticsError: fewer than three images, or residuals of a side, or differences of the two, that are constant.
    """
    a, b = checked_pair(first_residuals, second_residuals)
    if len(a) < 3 or not min(np.ptp(a), np.ptp(b), np.ptp(a - b)) > 0:
        raise StatisticsError(
            "a comparison needs at least three images with finite residuals that differ between the scorers"
        )

    def log_ratio(rows: Rows) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):  # a variance may be zero without a content
            return float(np.log(a[rows].var()) - np.log(b[rows].var()))

    found = jackknife(log_ratio, checked_contents(contents, len(a)), seed=seed)
    return VarianceComparison(ratio=float(np.exp(found.value)), p_value=found.p_value())


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
