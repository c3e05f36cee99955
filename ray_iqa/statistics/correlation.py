"""Correlation coefficients of predictions and labels.

All take two arrays of the same length and return a number in [-1, 1], or NaN where the coefficient does not exist:
one of the arrays is constant, or holds a NaN. They raise ``StatisticsError`` when the lengths differ, there are fewer
than two values, or the values are too large, too small or too close together to be told from rounding.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, rankdata

from ray_iqa.errors import StatisticsError

_LARGEST, _SMALLEST = 1e60, 1e-60  # fourth powers still fit into double precision
_RESOLUTION = 1e-12  # of the largest; double precision has 2e-16


def srcc(predictions: ArrayLike, labels: ArrayLike) -> float:
    """Spearman's rank correlation, ties at their average rank."""
    x, y = scores_and_labels(predictions, labels)
    return float("nan") if np.isnan(x + y).any() else float(rowwise_pearson(rankdata(x), rankdata(y)))


def plcc(predictions: ArrayLike, labels: ArrayLike) -> float:
    """Pearson's linear correlation, without any mapping of the predictions first."""
    return float(rowwise_pearson(*scores_and_labels(predictions, labels)))


def krcc(predictions: ArrayLike, labels: ArrayLike) -> float:
    """Kendall's rank correlation, tau-b."""
    x, y = scores_and_labels(predictions, labels)
    return float("nan") if np.isnan(x + y).any() else float(kendalltau(x, y, variant="b").statistic)


def scores_and_labels(predictions: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as [n] float64, of a size that statistics can be taken of.

    Raises:
        StatisticsError: as for `checked_pair`; or squares or differences of one of them do not fit double precision.
    """
    x, y = checked_pair(predictions, labels)
    for name, values in (("predictions", x), ("labels", y)):
        largest, smallest = np.nanmax(values, initial=-np.inf), np.nanmin(values, initial=np.inf)
        if max(largest, -smallest) > _LARGEST:
            raise StatisticsError(
                f"{name} must not exceed {_LARGEST:g} in size, got {float(max(largest, -smallest)):g}"
            )
        if largest > smallest and is_constant(values):
            raise StatisticsError(
                f"{name} that differ must differ by more than rounding, at least by {_RESOLUTION:g} of their size and "
                f"by {_SMALLEST:g}, got values from {smallest:g} to {largest:g}"
            )
    return x, y


def checked_pair(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as [n] float64.

    Raises:
        StatisticsError: they are not one-dimensional, of equal length, with n >= 2.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise StatisticsError(
            f"a correlation needs two arrays of one length of at least 2, got shapes {x.shape} and {y.shape}"
        )
    return x, y


def is_constant(values: NDArray[np.float64]) -> bool:
    """Whether the values, NaN left out, are equal up to rounding; True where there are none."""
    present = values[~np.isnan(values)]
    if not present.size:
        return True
    spread = np.ptp(present)
    return bool(spread == 0 or spread < max(_SMALLEST, _RESOLUTION * np.abs(present).max()))


def rowwise_pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's correlation over the last axis; NaN where a row is constant or holds a NaN.

    Args:
        x: [..., n].
        y: [..., n].
    """
    constant = (np.ptp(x, axis=-1) == 0) | (np.ptp(y, axis=-1) == 0)
    x = x - x.mean(axis=-1, keepdims=True)
    y = y - y.mean(axis=-1, keepdims=True)
    scale = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    defined = ~constant & (scale > 0)
    return np.where(defined, np.clip((x * y).sum(axis=-1) / np.where(defined, scale, 1.0), -1, 1), np.nan)
