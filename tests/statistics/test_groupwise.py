import numpy as np
import pytest
import scipy.stats

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.groupwise import groupwise

GROUPS = ["a"] * 4 + ["b"] * 4 + ["flat"] * 3 + ["alone"]
LABELS = [1, 2, 3, 4, 10, 20, 30, 40, 1, 2, 3, 7]
SCORES = [1, 2, 4, 3, 9, 6, 7, 8, 5, 5, 5, 1]


def test_mean_over_scenes_and_counted_scenes() -> None:
    report = groupwise(SCORES, LABELS, GROUPS)
    expected = [scipy.stats.spearmanr(SCORES[i : i + 4], LABELS[i : i + 4]).statistic for i in (0, 4)]
    assert report.per_group == pytest.approx({"a": expected[0], "b": expected[1]}, abs=1e-9)
    assert report.mean == pytest.approx(np.mean(expected), abs=1e-9)
    assert report.median == pytest.approx(np.median(expected), abs=1e-9)
    assert (report.num_constant, report.num_too_small, report.n, report.n_failed) == (1, 1, 8, 0)
    assert np.isnan(report.mean_interval).all()  # of two scenes


def test_the_interval_is_that_of_a_mean_over_scenes() -> None:
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(20, 6))
    scores = labels + rng.normal(size=(20, 6))
    report = groupwise(scores.ravel(), labels.ravel(), [str(n // 6) for n in range(120)])
    each = [scipy.stats.spearmanr(a, b).statistic for a, b in zip(scores, labels, strict=True)]
    left_out = np.arctanh([np.mean(np.delete(each, scene)) for scene in range(20)])  # Fisher's scale
    half = scipy.stats.t.ppf(0.975, 0.75 * 19) * np.sqrt(19 * left_out.var())
    centre = np.arctanh(np.mean(each))
    assert report.mean_interval == pytest.approx(tuple(np.tanh([centre - half, centre + half])))


def test_per_scene_scales_do_not_leak_into_the_mean() -> None:
    # Perfect inside both scenes, while pooled ranks are not.
    report = groupwise([1, 2, 3, 1, 2, 3], [0, 50, 100, 0, 10, 100], list("aaabbb"), statistic="krcc")
    assert report.mean == pytest.approx(1)


def test_failures_are_left_out_and_counted() -> None:
    scores = np.array(SCORES, dtype=float)
    scores[0] = np.nan
    report = groupwise(scores, LABELS, GROUPS)
    assert (report.n, report.n_failed) == (7, 1)
    assert report.per_group["a"] == pytest.approx(scipy.stats.spearmanr([2, 4, 3], [2, 3, 4]).statistic)


def test_lower_is_better_and_pair_accuracy() -> None:
    report = groupwise([3, 2, 1], [1, 2, 3], ["a"] * 3, statistic="pair_accuracy", higher_is_better=False)
    assert report.mean == 1


def test_no_scene_with_an_answer_is_refused() -> None:
    with pytest.raises(StatisticsError, match="no scene has a srcc: 1 scenes are constant, 1 have fewer than 2"):
        groupwise([1, 1, 2], [1, 2, 3], ["a", "a", "b"])
    with pytest.raises(StatisticsError, match="needs its scene"):
        groupwise([1, 2], [1, 2], ["a"])
