import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ray_iqa.rewards.thurstone import comparison_probability, pooled_variance, score_moments

A, B, C = [3.2, 3.5, 3.0, 3.6], [2.0, 2.4, 2.2, 2.6], [3.4] * 4


def test_moments_of_the_reference_scores() -> None:
    moments = score_moments(np.array([A, B, C]))
    np.testing.assert_allclose(moments.mean, [3.325, 2.3, 3.4])
    np.testing.assert_allclose(moments.variance, [0.075833, 0.066667, 0.0], atol=5e-7)
    assert moments.count.tolist() == [4, 4, 4]


def test_moments_ignore_unread_scores() -> None:
    moments = score_moments(np.array([[3.0, np.nan, 4.0], [np.nan, 2.0, np.nan], [np.nan] * 3]))
    assert moments.count.tolist() == [2, 1, 0]
    np.testing.assert_allclose(moments.mean, [3.5, 2.0, np.nan])
    np.testing.assert_allclose(moments.variance, [0.5, np.nan, np.nan])


def test_probabilities_of_the_reference_scores() -> None:
    moments = score_moments(np.array([A, B, C]))
    pooled = pooled_variance(moments.variance[:1], moments.variance, 1e-6)
    probability = comparison_probability(np.array([A]), moments.mean, pooled)
    np.testing.assert_allclose(probability[0, 1], [0.991441, 0.999261, 0.968155, 0.999713], atol=5e-7)
    np.testing.assert_allclose(probability[0, 2], [0.233837, 0.641748, 0.073176, 0.766163], atol=5e-7)


def test_a_single_score_borrows_the_variance_of_the_other_image() -> None:
    pooled = pooled_variance(np.array([np.nan, 0.25]), np.array([0.5, np.nan]), 0.125)
    np.testing.assert_allclose(pooled, [[1.125, np.nan], [0.875, np.nan]])


@given(arrays(np.float64, (4, 3), elements=st.floats(1, 5)), st.randoms(use_true_random=False))
def test_moments_do_not_depend_on_the_order_of_scores(scores: np.ndarray, random: object) -> None:
    order = list(range(3))
    random.shuffle(order)
    before, after = score_moments(scores), score_moments(scores[:, order])
    np.testing.assert_allclose(before.mean, after.mean)
    np.testing.assert_allclose(before.variance, after.variance, atol=1e-12)
