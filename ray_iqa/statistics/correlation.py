"""Correlation coefficients of predictions and labels.

All take two arrays of the same length and return a number in [-1, 1], or NaN where the coefficient does not exist:
one of the arrays is constant, or holds a NaN. They raise ``StatisticsError`` when the lengths differ or there are
fewer than two values.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, rankdata

from ray_iqa.errors import StatisticsError


def srcc(predictions: ArrayLike, labels: ArrayLike) -> float:
    """Spearman's rank correlation, ties at their average rank."""
    x, y = checked_pair(predictions, labels)
    return float("nan") if np.isnan(x + y).any() else float(rowwise_pearson(rankdata(x), rankdata(y)))


def plcc(predictions: ArrayLike, labels: ArrayLike) -> float:
    """Pearson's linear correlation, without any mapping of the predictions first."""
    return float(rowwise_pearson(*checked_pair(predictions, labels)))


def krcc(predictions: ArrayLike, labels: ArrayLike) -> float:
    """Kendall's rank correlation, tau-b."""
    x, y = checked_pair(predictions, labels)
    return float("nan") if np.isnan(x + y).any() else float(kendalltau(x, y, variant="b").statistic)


def checked_pair(predictions: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as [n] float64.

    Raises:
        StatisticsError: they are not one-dimensional, of equal length, with n >= 2.
    """
    x, y = np.asarray(predictions, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise StatisticsError(
            f"a correlation needs two arrays of one length of at least 2, got shapes {x.shape} and {y.shape}"
        )
    return x, y


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
