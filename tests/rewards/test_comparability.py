import numpy as np
import pytest

from ray_iqa.rewards import comparability
from ray_iqa.rewards.comparability import comparable, mean_over_opponents, opponents


def test_only_images_of_one_dataset_are_comparable() -> None:
    result = comparable(["a", "b", "a", "a"], None)
    assert result.tolist() == [
        [False, False, True, True],
        [False, False, False, False],
        [True, False, False, True],
        [True, False, True, False],
    ]


def test_blocks_cut_each_dataset_in_step_order() -> None:
    result = comparable(["a", "b", "a", "b", "a", "a"], 2)
    pairs = [(i, j) for i, j in zip(*np.nonzero(result), strict=True) if i < j]
    assert pairs == [(0, 2), (1, 3), (4, 5)]


@pytest.mark.parametrize(("num_images", "sizes"), [(16, [8, 8]), (17, [9, 8]), (5, [5]), (31, [11, 10, 10])])
def test_blocks_are_even_and_leave_no_image_alone(num_images: int, sizes: list[int]) -> None:
    partners = comparable(["a"] * num_images, 8).sum(axis=1)
    assert partners.tolist() == [size - 1 for size in sizes for _ in range(size)]


def test_no_images() -> None:
    assert comparable([], None).shape == (0, 0)


def test_an_opponent_has_two_readable_scores() -> None:
    scores = np.array([[1, 2, np.nan], [3, np.nan, np.nan], [np.nan] * 3])
    result = opponents(scores, comparable(["a"] * 3, None))
    assert result.tolist() == [[False] * 3, [True, False, False], [True, False, False]]


def test_mean_over_opponents_is_the_same_in_one_piece_or_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    scores, earned = rng.uniform(1, 5, (7, 3)), rng.uniform(size=(7, 7, 3))
    scores[2, 1] = np.nan
    met = rng.uniform(size=(7, 7)) < 0.5
    met[4] = False
    expected = [
        [0.0 if np.isnan(scores[i, k]) or not met[i].any() else earned[i, met[i], k].mean() for k in range(3)]
        for i in range(7)
    ]
    for size in (1, 45, 10_000):
        monkeypatch.setattr(comparability, "_BLOCK_ELEMENTS", size)
        np.testing.assert_allclose(mean_over_opponents(lambda b, o: earned[np.ix_(b, o)], scores, met), expected)


def test_nothing_is_computed_across_datasets_and_blocks() -> None:
    asked = []

    def pair_rewards(images: np.ndarray, others: np.ndarray) -> np.ndarray:
        asked.extend((int(i), int(j)) for i in images for j in others if i != j)
        return np.zeros((len(images), len(others), 2))

    met = comparable(["a", "b"] * 12, 4)
    mean_over_opponents(pair_rewards, np.zeros((24, 2)), met)
    assert sorted(asked) == [(int(i), int(j)) for i, j in zip(*np.nonzero(met), strict=True)]


def test_scenes_with_scales_of_their_own_are_not_compared() -> None:
    result = comparable([("a", "s1"), ("a", "s2"), ("b", "s1"), ("a", "s1")], None)
    assert [(int(i), int(j)) for i, j in zip(*np.nonzero(result), strict=True)] == [(0, 3), (3, 0)]
