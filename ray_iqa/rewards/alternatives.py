"""Other rewards of the literature, on the same inputs as `ray_iqa.rewards.fidelity`.

``binary``, ``probability_average`` and ``fixed_variance`` are the ablations of VisualQuality-R1 (arXiv 2505.14460,
section 4.3), ``threshold`` is Q-Insight's (arXiv 2503.22679), ``gaussian_difference`` MR-IQA's (arXiv 2606.29760).
The paper names its binary reward without defining it; the definition here is ours.

Letters: b, B' and B images, K scores each. An unread score earns 0 and counts nowhere; so does an image without
opponent.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ray_iqa.rewards.comparability import Indices, mean_over_opponents, opponents
from ray_iqa.rewards.fidelity import fidelity, human_preference
from ray_iqa.rewards.thurstone import pooled_variance, score_moments


def binary_rewards(
    scores: NDArray[np.floating], mos: NDArray[np.float64], comparable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Share of opponents that a score orders as their labels do.

    A score orders a pair by comparison with the opponent's mean score; a tie is right only where the labels tie.

    Args:
        scores: [B, K], NaN where unread.
        mos: [B], higher is better.
        comparable: [B, B].
    """
    mean = score_moments(scores).mean

    def pair_rewards(images: Indices, others: Indices) -> NDArray[np.float64]:
        order = np.sign(scores[images, None, :] - mean[None, others, None])
        label_order = np.sign(mos[images, None] - mos[None, others])
        return (order == label_order[:, :, None]).astype(np.float64)

    return mean_over_opponents(pair_rewards, scores, opponents(scores, comparable))


def probability_average_rewards(
    scores: NDArray[np.floating],
    mos: NDArray[np.float64],
    comparable: NDArray[np.bool_],
    *,
    variance_floor: float,
    fidelity_floor: float,
    score_variance: float | None = None,
) -> NDArray[np.float64]:
    """Fidelity of the comparison probability averaged over the opponent's scores (equation 7).

    Args:
        scores: [B, K], NaN where unread.
        mos: [B], higher is better.
        comparable: [B, B].
        variance_floor: the paper's gamma.
        fidelity_floor: added inside each square root.
        score_variance: used for every image instead of the variance of its scores; 1 is the paper's
            fixed-variance ablation.
    """
    variance = score_moments(scores).variance
    if score_variance is not None:
        variance = np.full(len(scores), score_variance)

    def pair_rewards(images: Indices, others: Indices) -> NDArray[np.float64]:
        spread = np.sqrt(pooled_variance(variance[images], variance[others], variance_floor))[:, :, None]
        predicted = _mean_probability(scores[images], scores[others], spread)
        return fidelity(predicted, human_preference(mos[images], mos[others])[:, :, None], fidelity_floor)

    return mean_over_opponents(pair_rewards, scores, opponents(scores, comparable))


def gaussian_difference_rewards(
    scores: NDArray[np.floating], labels: NDArray[np.float64], comparable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Mean over opponents of exp(-d^2 / 2), d = score gap to the opponent's mean minus label gap.

    Args:
        scores: [B, K], NaN where unread.
        labels: [B], on the scale of the scores.
        comparable: [B, B].
    """
    mean = score_moments(scores).mean

    def pair_rewards(images: Indices, others: Indices) -> NDArray[np.float64]:
        score_gap = scores[images, None, :] - mean[None, others, None]
        label_gap = labels[images, None] - labels[None, others]
        return np.exp(-0.5 * (score_gap - label_gap[:, :, None]) ** 2)

    return mean_over_opponents(pair_rewards, scores, opponents(scores, comparable))


def threshold_rewards(
    scores: NDArray[np.floating], labels: NDArray[np.float64], threshold: float
) -> NDArray[np.float64]:
    """1 where a score is closer than ``threshold`` to its image's label, else 0; compares no images.

    Args:
        scores: [B, K], NaN where unread.
        labels: [B], on the scale of the scores.
        threshold: in points of that scale.
    """
    return (np.abs(scores - labels[:, None]) < threshold).astype(np.float64)


def _mean_probability(
    scores: NDArray[np.floating], others: NDArray[np.floating], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[b, B, K]: mean over the readable scores of each other image of P(score is better)."""
    total = np.zeros((len(scores), len(others), scores.shape[1]))
    for column in others.T:  # one of the K scores of every other image
        probability = ndtr((scores[:, None, :] - column[None, :, None]) / spread)
        total += np.where(np.isnan(column)[None, :, None], 0.0, probability)
    count = (~np.isnan(others)).sum(axis=1)
    return total / np.maximum(count, 1)[None, :, None]
