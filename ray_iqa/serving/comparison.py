"""Which of several pictures is better, from means and spreads (Thurstone, VisualQuality-R1 equation 1)."""

from collections.abc import Sequence

import numpy as np

from ray_iqa.answers.verdict import Verdict
from ray_iqa.rewards.thurstone import comparison_probability, pooled_variance
from ray_iqa.serving.types import PictureScore

_VARIANCE_FLOOR = 1e-6  # equal scores without any spread then have probability one half, not 0/0


def ranking(scores: Sequence[PictureScore | Verdict]) -> list[int]:
    """Indices of the pictures with a value, best first; the earlier of two equal ones first."""
    values = {index: score.value for index, score in enumerate(scores) if score.value is not None}
    return sorted(values, key=lambda index: -values[index])


def win_probabilities(scores: Sequence[PictureScore | Verdict]) -> list[list[float | None]]:
    """Row i, column j: probability that i is better than j; None where either has no value.

    A picture with an unknown spread takes the widest of the others', the cautious choice.
    """
    known = ranking(scores)
    table: list[list[float | None]] = [[None] * len(scores) for _ in scores]
    if not known:
        return table
    means = np.array([scores[index].value for index in known], np.float64)
    spreads = [scores[index].spread for index in known]
    widest = max((spread for spread in spreads if spread is not None), default=0.0)
    variances = np.array([widest if spread is None else spread for spread in spreads], np.float64) ** 2
    pooled = pooled_variance(variances, variances, _VARIANCE_FLOOR)
    probabilities = comparison_probability(means[:, None], means, pooled)[:, :, 0]
    for row, i in enumerate(known):
        for column, j in enumerate(known):
            table[i][j] = float(probabilities[row, column])
    return table


def unit_value(score: PictureScore) -> float | None:
    """The value mapped from its scale to 0 to 1; a value beyond the scale's ends counts as the end."""
    if score.value is None:
        return None
    low, high = score.scale.minimum, score.scale.maximum
    return min(1.0, max(0.0, (score.value - low) / (high - low)))
