"""Intervals of correlations, and the difference of two scorers on the same images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import rowwise_pearson, scores_and_labels
from ray_iqa.statistics.jackknife import Interval, Rows, checked_contents, jackknife, single_interval

Vector = NDArray[np.float64]

_LIMIT = 1 - 1e-12  # of a correlation on Fisher's scale, where 1 lies at infinity


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """SRCC of the first scorer minus SRCC of the second on the same images."""

    difference: float
    interval: Interval  # 95 %; NaN with too few contents, as p_value
    p_value: float  # two-sided, of a difference that is in truth the tolerated one


def correlation_interval(
    predictions: ArrayLike,
    labels: ArrayLike,
    coefficient: Literal["srcc", "plcc"],
    *,
    contents: Sequence[str] | None = None,
    seed: int = 0,
) -> Interval:
    """95 % interval of a correlation, by the jackknife on Fisher's scale (its inverse hyperbolic tangent).

    Args:
        predictions: [n].
        labels: [n].
        coefficient: which correlation.
        contents: [n], the reference or scene of each image; None where every image is a content of its own.
        seed: as for `jackknife`.

    Returns:
        (NaN, NaN) where there is no correlation, or too few contents.

    Raises:
        StatisticsError: as the correlations do, or the number of contents is wrong.
    """
    x, y = scores_and_labels(predictions, labels)

    def correlation(rows: Rows) -> Vector:
        a, b = (rankdata(x[rows]), rankdata(y[rows])) if coefficient == "srcc" else (x[rows], y[rows])
        return rowwise_pearson(a, b)

    return fisher_interval(correlation, checked_contents(contents, len(x)), seed)


def fisher_interval(correlation: Callable[[Rows], ArrayLike], contents: Sequence[str] | Rows, seed: int) -> Interval:
    """95 % interval of a correlation or of a mean of some, on Fisher's scale; arguments as for `jackknife`."""
    found = jackknife(lambda rows: np.arctanh(np.clip(correlation(rows), -_LIMIT, _LIMIT)), contents, seed=seed)
    low, high = single_interval(found)
    return float(np.tanh(low)), float(np.tanh(high))


def paired_srcc_difference(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    *,
    contents: Sequence[str] | None = None,
    seed: int = 0,
    null: float = 0.0,
) -> PairedDifference:
    """Difference of two SRCC by the jackknife; both scorers lose the same contents.

    Args:
        first: [n] predictions.
        second: [n] predictions for the same images.
        labels: [n].
        contents: as for `correlation_interval`.
        seed: as for `jackknife`.
        null: the difference that the p-value is about.

    Raises:
        StatisticsError: lengths differ, or a scorer or the labels are constant, so there is no SRCC to compare.
    """
    a, y = scores_and_labels(first, labels)
    b, _ = scores_and_labels(second, labels)

    def gap(rows: Rows) -> Vector:
        ranks = rankdata(y[rows])
        return rowwise_pearson(rankdata(a[rows]), ranks) - rowwise_pearson(rankdata(b[rows]), ranks)

    found = jackknife(gap, checked_contents(contents, len(y)), seed=seed)
    if np.isnan(found.value):
        raise StatisticsError("a difference of SRCC needs two scorers and labels that are finite and not constant")
    return PairedDifference(difference=float(found.value), interval=single_interval(found), p_value=found.p_value(null))
