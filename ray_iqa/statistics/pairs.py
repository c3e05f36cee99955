"""Pairs of images: are those that people tell apart told apart by the predictions, and ordered the same way?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import checked_pair, scores_and_labels

Vector = NDArray[np.float64]

_MOST_IMAGES = 2000  # whose pairs are classified: two million


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAccuracy:
    """A tied prediction counts as half right, as in the area under a ROC curve; 0.5 is chance."""

    value: float
    num_pairs: int  # with a real gap between the labels


def pair_accuracy(
    predictions: ArrayLike, labels: ArrayLike, *, label_std: ArrayLike | None = None, min_gap: float = 0.0
) -> PairAccuracy:
    """Accuracy over all pairs whose label gap is real.

    Args:
        predictions: [n].
        labels: [n].
        label_std: [n], spread of the labels in their unit; a gap is then real above 2 sqrt(std_a^2 + std_b^2).
        min_gap: a gap must exceed this too, in the unit of the labels.

    Raises:
        StatisticsError: no pair of images has a real gap.
    """
    x, y = scores_and_labels(predictions, labels)
    variance = np.zeros_like(y) if label_std is None else checked_pair(label_std, labels)[0] ** 2
    num_pairs, right = 0, 0.0
    for i in range(len(y) - 1):  # a row of pairs at a time: n^2 pairs would not fit into memory
        gap = y[i + 1 :] - y[i]
        real = np.abs(gap) > np.maximum(min_gap, 2 * np.sqrt(variance[i + 1 :] + variance[i]))
        agreement: NDArray[np.float64] = np.sign(x[i + 1 :] - x[i])[real] * np.sign(gap)[real]
        num_pairs += int(real.sum())
        right += float((1 + agreement).sum()) / 2
    if num_pairs == 0:
        raise StatisticsError(f"pair accuracy needs labels with a real gap, but none of {len(y)} images differ enough")
    return PairAccuracy(value=right / num_pairs, num_pairs=num_pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairClassification:
    """Areas under two ROC curves, 0.5 by chance; NaN where a class is empty."""

    different_similar: float  # do pairs that people tell apart get a larger gap of predictions than the others?
    better_worse: float  # does the gap of those pairs have the right sign?
    num_different: int
    num_similar: int


def pair_classification(
    predictions: ArrayLike, labels: ArrayLike, label_error: ArrayLike, *, seed: int = 0
) -> PairClassification:
    """Classify all pairs as Krasula et al. do ("On the accuracy of objective image and video quality models", 2016).

    People tell a pair apart where the normal distribution function of its label gap over the error of that gap is
    above 0.95, as in the authors' own program. Of more than 2,000 images, 2,000 are drawn.

    Args:
        predictions: [n].
        labels: [n].
        label_error: [n], standard error of each label, in its unit.
        seed: of the draw.

    Raises:
        StatisticsError: lengths differ.
    """
    x, y = scores_and_labels(predictions, labels)
    error, _ = checked_pair(label_error, labels)
    chosen = np.random.default_rng(seed).permutation(len(x))[:_MOST_IMAGES]
    first, second = (chosen[places] for places in np.triu_indices(len(chosen), 1))
    gap, moved = y[first] - y[second], x[first] - x[second]
    different = np.abs(gap) > norm.ppf(0.95) * np.hypot(error[first], error[second])
    oriented = moved[different] * np.sign(gap[different])
    return PairClassification(
        different_similar=_area(np.abs(moved[different]), np.abs(moved[~different])),
        better_worse=_area(oriented, -oriented),
        num_different=int(different.sum()),
        num_similar=int((~different).sum()),
    )


def _area(positive: Vector, negative: Vector) -> float:
    """Probability that a positive is the larger one, ties counting half; NaN where there are none of a class."""
    if not positive.size or not negative.size:
        return float("nan")
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    return float((ranks.mean() - (len(positive) + 1) / 2) / len(negative))
