"""Thurstone's law of comparative judgement on sampled scores (VisualQuality-R1, arXiv 2505.14460, equation 1).

Departure from the paper: scores that could not be read are left out instead of replaced by random numbers, so the
moments are those of an image's readable scores.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMoments:
    """What an image's K sampled scores say about it; NaN where there are too few."""

    count: NDArray[np.int64]  # [B] readable scores
    mean: NDArray[np.float64]  # [B], NaN without any
    variance: NDArray[np.float64]  # [B], unbiased, NaN with fewer than two


def score_moments(scores: NDArray[np.floating]) -> ScoreMoments:
    """Moments over the K scores of each image, NaN scores left out.

    Args:
        scores: [B, K], NaN where unread.
    """
    readable = ~np.isnan(scores)
    count = readable.sum(axis=1)
    kept = np.where(readable, scores, 0.0).astype(np.float64)
    mean = kept.sum(axis=1) / np.maximum(count, 1)
    squares = np.where(readable, kept - mean[:, None], 0.0) ** 2
    variance = squares.sum(axis=1) / np.maximum(count - 1, 1)
    return ScoreMoments(
        count=count,
        mean=np.where(count >= 1, mean, np.nan),
        variance=np.where(count >= 2, variance, np.nan),
    )


def pooled_variance(
    own: NDArray[np.float64], others: NDArray[np.float64], variance_floor: float
) -> NDArray[np.float64]:
    """Variance of the gap between a score of one image and the mean of another.

    An image with a single readable score has no variance of its own and takes the other image's: of the two it is
    the only evidence of how much this policy's scores scatter.

    Args:
        own: [b], NaN where unknown.
        others: [B], NaN where unknown.
        variance_floor: the paper's gamma.

    Returns:
        [b, B]; NaN where the other image's variance is unknown.
    """
    known = np.where(np.isnan(own)[:, None], others[None, :], own[:, None])
    return known + others[None, :] + variance_floor


def comparison_probability(
    scores: NDArray[np.floating], others_mean: NDArray[np.float64], pooled: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probability that each single score's image is better than each other image (equation 1).

    Not symmetric: a single score of one image meets the mean score of the other.

    Args:
        scores: [b, K].
        others_mean: [B].
        pooled: [b, B], see `pooled_variance`.

    Returns:
        [b, B, K]; NaN where a score, a mean or a variance is.
    """
    gap = scores[:, None, :] - others_mean[None, :, None]
    return ndtr(gap / np.sqrt(pooled)[:, :, None])
