"""The fidelity reward of VisualQuality-R1 (arXiv 2505.14460, equations 1 to 3).

The two floors are those of the published code. Departures: unreadable scores are left out and earn 0, an image is
compared with all comparable images of the step, and one without opponent earns 0 instead of dividing by zero.
"""

import numpy as np
from numpy.typing import NDArray

from ray_iqa.rewards.comparability import Indices, mean_over_opponents, opponents
from ray_iqa.rewards.thurstone import comparison_probability, pooled_variance, score_moments


def human_preference(mos: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where the first image has the better label, 0 where the worse, 0.5 where both are equal (equation 2).

    Args:
        mos: [b], higher is better.
        others: [B].

    Returns:
        [b, B].
    """
    return 0.5 + 0.5 * np.sign(mos[:, None] - others[None, :])


def fidelity(predicted: NDArray[np.float64], human: NDArray[np.float64], fidelity_floor: float) -> NDArray[np.float64]:
    """Agreement of two probabilities that one image is the better one (equation 3).

    1 (plus the floors) when they agree; 0.7081 for an undecided prediction on a decided pair.
    """
    return np.sqrt(human * predicted + fidelity_floor) + np.sqrt((1 - human) * (1 - predicted) + fidelity_floor)


def fidelity_rewards(
    scores: NDArray[np.floating],
    mos: NDArray[np.floating],
    comparable: NDArray[np.bool_],
    *,
    variance_floor: float = 1e-6,
    fidelity_floor: float = 1e-6,
) -> NDArray[np.float64]:
    """Mean fidelity of each score over the image's opponents.

    An opponent is a comparable image with at least two readable scores. An image with one readable score borrows
    each opponent's variance (`pooled_variance`). An unread score earns 0 and changes nobody else's reward.

    Args:
        scores: [B, K], NaN where the answer could not be read.
        mos: [B], higher is better; only the order among comparable images matters.
        comparable: [B, B], False on the diagonal.
        variance_floor: the paper's gamma.
        fidelity_floor: added inside each square root (published code only).

    Returns:
        [B, K] in [0, 1.001]; 0 for images without opponent.

    Raises:
        ValueError: the shapes do not fit together.
    """
    num_images = len(scores)
    if mos.shape != (num_images,) or comparable.shape != (num_images, num_images):
        raise ValueError(
            f"mos must be [B] and comparable [B, B] for scores [B, K], "
            f"got {mos.shape} and {comparable.shape} for {scores.shape}"
        )
    moments = score_moments(scores)
    labels = mos.astype(np.float64)

    def pair_rewards(images: Indices, others: Indices) -> NDArray[np.float64]:
        pooled = pooled_variance(moments.variance[images], moments.variance[others], variance_floor)
        predicted = comparison_probability(scores[images], moments.mean[others], pooled)
        return fidelity(predicted, human_preference(labels[images], labels[others])[:, :, None], fidelity_floor)

    return mean_over_opponents(pair_rewards, scores, opponents(scores, comparable))
