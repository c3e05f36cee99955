"""Pair accuracy: of the pairs that people ordered clearly, the share the predictions order the same way."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import checked_pair


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
    x, y = checked_pair(predictions, labels)
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
