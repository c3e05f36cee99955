"""Reference numbers: worked out from the published formulas, gamma = epsilon = 1e-6, unbiased variance."""

from statistics import NormalDist, mean, variance

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_iqa.grpo.advantages import group_relative_advantages
from ray_iqa.rewards.comparability import comparable
from ray_iqa.rewards.fidelity import fidelity, fidelity_rewards, human_preference

SCORES = np.array([[3.2, 3.5, 3.0, 3.6], [2.0, 2.4, 2.2, 2.6], [3.4] * 4])
MOS = np.array([3.8, 2.1, 3.8])
REWARDS = [
    [0.978792, 0.995162, 0.928488, 0.980864],
    [1.000944, 0.999200, 1.000640, 0.993861],
    [0.997577] * 4,
]


def together(num_images: int) -> np.ndarray:
    return comparable(["d"] * num_images, None)


def test_reference_rewards() -> None:
    rewards = fidelity_rewards(SCORES, MOS, together(3))
    np.testing.assert_allclose(rewards, REWARDS, atol=6e-7)
    biased = [0.974270, 0.993638, 0.918087, 0.975000]  # what dividing by K would give
    assert np.abs(rewards[0] - biased).max() > 1e-3


def test_reference_advantages() -> None:
    rewards = fidelity_rewards(SCORES, MOS, together(3)).astype(np.float32)
    everything = np.ones((3, 4), dtype=np.bool_)
    well_formed = np.ones((3, 4), dtype=np.float32)
    np.testing.assert_allclose(
        group_relative_advantages(rewards + well_formed, everything),
        [[0.2723, 0.8320, -1.4475, 0.3432], [0.6736, 0.1589, 0.5837, -1.4163], [0] * 4],
        atol=1e-4,
    )
    well_formed[0, 2] = 0
    np.testing.assert_allclose(
        group_relative_advantages(rewards + well_formed, everything)[0],
        [0.4882, 0.5192, -1.4996, 0.4921],
        atol=1e-4,
    )


def test_a_score_of_another_image_contaminates_but_an_unread_one_does_not() -> None:
    contaminated = SCORES.copy()
    contaminated[1, 3] = 5.0
    np.testing.assert_allclose(
        fidelity_rewards(contaminated, MOS, together(3))[0], [0.862621, 0.902147, 0.799748, 0.895369], atol=6e-7
    )
    unread = SCORES.copy()
    unread[1, 3] = np.nan
    result = fidelity_rewards(unread, MOS, together(3))
    np.testing.assert_allclose(result, _loop(unread, MOS, together(3)), atol=1e-12)
    assert result[1, 3] == 0
    assert result[0].min() > 0.9


def test_scores_that_never_vary() -> None:
    same = np.full((2, 4), 3.5)
    np.testing.assert_allclose(fidelity_rewards(same, np.array([4.0, 2.0]), together(2)), 0.708107, atol=6e-7)
    apart = np.array([[3.51] * 4, [3.50] * 4])
    np.testing.assert_allclose(fidelity_rewards(apart, np.array([4.0, 2.0]), together(2)), 1.001, atol=6e-7)


def test_fidelity_of_ties_and_extremes() -> None:
    half, zero, one = np.array(0.5), np.array(0.0), np.array(1.0)
    assert fidelity(half, half, 0.0) == pytest.approx(1.0)
    assert fidelity(half, one, 1e-6) == pytest.approx(0.7081, abs=5e-5)
    assert fidelity(zero, half, 1e-6) == pytest.approx(0.7081, abs=5e-5)
    assert fidelity(zero, one, 1e-6) == pytest.approx(0.002, abs=1e-6)
    assert fidelity(one, one, 1e-6) == pytest.approx(1.001, abs=1e-6)
    assert human_preference(np.array([2.0]), np.array([1.0, 2.0, 3.0])).tolist() == [[1.0, 0.5, 0.0]]


def test_floors_are_parameters() -> None:
    apart = np.array([[3.6] * 2, [3.5] * 2])
    rewards = fidelity_rewards(apart, np.array([2.0, 1.0]), together(2), variance_floor=0.01, fidelity_floor=0.0)
    np.testing.assert_allclose(rewards, np.sqrt(0.8413447460685429))  # 0.1 over a spread of 0.1: one sigma


def test_images_nobody_can_be_compared_with_earn_nothing() -> None:
    nothing = np.full((3, 4), np.nan)
    assert not fidelity_rewards(nothing, MOS, together(3)).any()
    assert not fidelity_rewards(SCORES[:1], MOS[:1], together(1)).any()
    assert not fidelity_rewards(SCORES[:, :1], MOS, together(3)).any()  # K = 1: no image has a spread
    lonely = fidelity_rewards(SCORES, MOS, comparable(["a", "b", "a"], None))
    assert not lonely[1].any()
    assert lonely[[0, 2]].all()


def test_a_single_readable_score_is_still_ranked() -> None:
    scores = SCORES.copy()
    scores[0, 1:] = np.nan
    rewards = fidelity_rewards(scores, MOS, together(3))
    np.testing.assert_allclose(rewards, _loop(scores, MOS, together(3)), atol=1e-12)
    assert rewards[0, 0] > 0.5
    np.testing.assert_allclose(rewards[1], fidelity_rewards(SCORES[1:], MOS[1:], together(2))[0])


@pytest.mark.parametrize(("mos_shape", "pairs"), [((2,), 3), ((3, 1), 3), ((3,), 2)])
def test_shapes_must_fit(mos_shape: tuple[int, ...], pairs: int) -> None:
    with pytest.raises(ValueError, match=r"mos must be \[B\]"):
        fidelity_rewards(SCORES, np.zeros(mos_shape), together(pairs))


def _loop(scores: np.ndarray, mos: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """One comparison at a time, with the normal distribution of the standard library."""
    rewards = np.zeros(scores.shape)
    readable = [[float(s) for s in row if not np.isnan(s)] for row in scores]
    for i, own in enumerate(scores):
        others = [j for j in range(len(scores)) if pairs[i, j] and len(readable[j]) >= 2]
        for k, score in enumerate(own):
            if np.isnan(score) or not others:
                continue
            earned = []
            for j in others:
                spread = variance(readable[j])
                pooled = spread + (variance(readable[i]) if len(readable[i]) >= 2 else spread)
                p = NormalDist().cdf((float(score) - mean(readable[j])) / (pooled + 1e-6) ** 0.5)
                truth = 1.0 if mos[i] > mos[j] else 0.5 if mos[i] == mos[j] else 0.0
                earned.append((truth * p + 1e-6) ** 0.5 + ((1 - truth) * (1 - p) + 1e-6) ** 0.5)
            rewards[i, k] = mean(earned)
    return rewards


@st.composite
def steps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores with holes and repeats, labels with ties, two datasets."""
    num_images, num_scores = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    score = st.one_of(st.just(float("nan")), st.integers(100, 500).map(lambda hundredths: hundredths / 100))
    rows = draw(st.lists(st.lists(score, min_size=num_scores, max_size=num_scores), min_size=num_images, max_size=6))
    mos = draw(st.lists(st.integers(0, 4), min_size=len(rows), max_size=len(rows)))
    names = draw(st.lists(st.sampled_from("ab"), min_size=len(rows), max_size=len(rows)))
    return np.array(rows), np.array(mos, dtype=np.float64), names


@given(steps())
def test_every_step_equals_the_plain_loop(step: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    scores, mos, names = step
    pairs = comparable(names, None)
    np.testing.assert_allclose(fidelity_rewards(scores, mos, pairs), _loop(scores, mos, pairs), atol=1e-9)


@given(steps(), st.randoms(use_true_random=False))
def test_permuting_images_permutes_rewards(step: tuple[np.ndarray, np.ndarray, list[str]], random: object) -> None:
    scores, mos, names = step
    order = list(range(len(names)))
    random.shuffle(order)
    straight = fidelity_rewards(scores, mos, comparable(names, None))
    permuted = fidelity_rewards(scores[order], mos[order], comparable([names[i] for i in order], None))
    np.testing.assert_allclose(permuted, straight[order], atol=1e-12)


@given(steps())
def test_datasets_together_or_apart_earn_the_same(step: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    scores, mos, names = step
    together_ = fidelity_rewards(scores, mos, comparable(names, None))
    for name in set(names):
        members = [i for i, other in enumerate(names) if other == name]
        apart = fidelity_rewards(scores[members], mos[members], together(len(members)))
        np.testing.assert_allclose(together_[members], apart, atol=1e-12)


@given(steps())
def test_unread_scores_change_nobody(step: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    scores, mos, names = step
    padded = np.concatenate([scores, np.full((len(scores), 2), np.nan)], axis=1)
    with_unread_image = np.concatenate([padded, np.full((1, padded.shape[1]), np.nan)])
    rewards = fidelity_rewards(with_unread_image, np.append(mos, 2.0), comparable([*names, "a"], None))
    expected = fidelity_rewards(scores, mos, comparable(names, None))
    np.testing.assert_allclose(rewards[:-1, : scores.shape[1]], expected, atol=1e-12)
    assert not rewards[-1].any()
    assert not rewards[:, scores.shape[1] :].any()
