"""Rewards of a group -> how much better than its group each completion is.

Departure from the paper: completions that leave the update, which are the aborted ones, do not enter the mean and
standard deviation either.
"""

import numpy as np
from numpy.typing import NDArray

STD_FLOOR = 1e-4  # added to the standard deviation, as in the published code (the paper divides by it alone)


def group_relative_advantages(rewards: NDArray[np.float32], trainable: NDArray[np.bool_]) -> NDArray[np.float32]:
    """GRPO's advantage: deviation from the group's mean over the group's unbiased standard deviation.

    VisualQuality-R1 (arXiv 2505.14460), equation 4, with the published code's floor.

    Args:
        rewards: [B, K].
        trainable: [B, K]; others get 0, and so does a group with fewer than two trainable completions.

    Returns:
        [B, K]; a group of equal rewards gets 0.
    """
    deviation, count = _deviation_and_count(rewards, trainable)
    variance = (deviation**2).sum(axis=1, keepdims=True) / np.maximum(count - 1, 1)
    return (deviation / (np.sqrt(variance) + STD_FLOOR)).astype(np.float32)


def dr_grpo_advantages(rewards: NDArray[np.float32], trainable: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Dr. GRPO's advantage: deviation from the group's mean, not normalised (arXiv 2503.20783).

    Args and result as `group_relative_advantages`.
    """
    return _deviation_and_count(rewards, trainable)[0].astype(np.float32)


ADVANTAGES = {"grpo": group_relative_advantages, "dr_grpo": dr_grpo_advantages, "dapo": group_relative_advantages}
"""By ``learner.loss``."""


def _deviation_and_count(
    rewards: NDArray[np.float32], trainable: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    count = trainable.sum(axis=1, keepdims=True)  # [B, 1]
    kept = np.where(trainable, rewards.astype(np.float64), 0.0)
    mean = kept.sum(axis=1, keepdims=True) / np.maximum(count, 1)
    return np.where(trainable & (count > 1), kept - mean, 0.0), count
