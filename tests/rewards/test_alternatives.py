from itertools import product
from statistics import NormalDist, mean, variance

import numpy as np
import pytest

from ray_iqa.rewards.alternatives import (
    binary_rewards,
    gaussian_difference_rewards,
    probability_average_rewards,
    threshold_rewards,
)
from ray_iqa.rewards.comparability import comparable

NAN = float("nan")
SCORES = np.array([[3.2, 3.5, NAN, 3.6], [2.0, 2.4, 2.2, 2.6], [3.4] * 4, [NAN, 4.0, NAN, NAN], [NAN] * 4])
MOS = np.array([3.8, 2.1, 3.8, 4.5, 1.0])
PAIRS = comparable(["d"] * 5, None)
FLOORS = {"variance_floor": 1e-6, "fidelity_floor": 1e-6}


def test_binary_counts_pairs_in_the_right_order() -> None:
    rewards = binary_rewards(SCORES, MOS, PAIRS)
    # Opponents are images 0, 1, 2 (means 3.4333, 2.3, 3.4). Image 0: right against 1, never tied with 2.
    np.testing.assert_allclose(rewards[0], [0.5, 0.5, 0.0, 0.5])
    np.testing.assert_allclose(rewards[1], 1.0)
    np.testing.assert_allclose(rewards[2], 0.5)
    np.testing.assert_allclose(rewards[3], [0, 1, 0, 0])
    assert not rewards[4].any()


def test_binary_rewards_a_tie_where_the_labels_tie() -> None:
    scores = np.array([[3.0, 4.0], [3.0, 3.0]])
    np.testing.assert_allclose(binary_rewards(scores, np.array([1.0, 1.0]), PAIRS[:2, :2])[0], [1, 0])
    np.testing.assert_allclose(binary_rewards(scores, np.array([2.0, 1.0]), PAIRS[:2, :2])[0], [0, 1])


@pytest.mark.parametrize("score_variance", [None, 1.0])
def test_probability_average_against_one_comparison_at_a_time(score_variance: float | None) -> None:
    rewards = probability_average_rewards(SCORES, MOS, PAIRS, **FLOORS, score_variance=score_variance)
    readable = [[s for s in row if s == s] for row in SCORES.tolist()]
    spread = [score_variance or (variance(row) if len(row) >= 2 else NAN) for row in readable]
    for i, k in product(range(3), range(4)):  # the images with a spread of their own
        score, earned = SCORES[i, k], []
        for j in {0, 1, 2} - {i}:
            pooled = spread[i] + spread[j] + 1e-6
            p = mean(NormalDist().cdf((score - other) / pooled**0.5) for other in readable[j])
            truth = 0.5 + 0.5 * np.sign(MOS[i] - MOS[j])
            earned.append((truth * p + 1e-6) ** 0.5 + ((1 - truth) * (1 - p) + 1e-6) ** 0.5)
        assert rewards[i, k] == pytest.approx(0.0 if np.isnan(score) else mean(earned), abs=1e-12)
    assert rewards[3, 1] > 0.5
    assert not rewards[4].any()


def test_gaussian_difference() -> None:
    rewards = gaussian_difference_rewards(SCORES, MOS, PAIRS)
    gaps = [(3.2 - 2.3) - (3.8 - 2.1), (3.2 - 3.4) - 0.0]
    assert rewards[0, 0] == pytest.approx(np.mean(np.exp(-0.5 * np.square(gaps))))
    assert rewards[0, 2] == 0
    assert not rewards[4].any()


def test_threshold_needs_no_opponent() -> None:
    rewards = threshold_rewards(np.array([[3.0, 3.34, 3.36, NAN]]), np.array([3.0]), 0.35)
    assert rewards.tolist() == [[1.0, 1.0, 0.0, 0.0]]
