"""The report of one scorer: numbers against scipy, what is refused, and what is counted."""

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.agreement import Labels, agreement, outlier_ratio, tie_share
from ray_iqa.statistics.correlation import krcc, plcc, srcc

RNG = np.random.default_rng(7)
TRUTH = RNG.uniform(1, 5, size=90)
CASES = {
    "random": (TRUTH + RNG.normal(size=90), TRUTH),
    "tied": (np.round(TRUTH + RNG.normal(size=90)), np.round(TRUTH)),
    "inverted": (-(TRUTH**3) + RNG.normal(size=90), TRUTH),
    "tiny": (np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.5, 4.0])),
}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_scipy(name: str) -> None:
    x, y = CASES[name]
    report = agreement(x, Labels(mos=y))
    assert report.srcc == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-9)
    assert report.krcc == pytest.approx(scipy.stats.kendalltau(x, y).statistic, abs=1e-9)
    assert report.plcc == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-9)
    residuals = y - report.mapping(x)
    assert report.rmse == pytest.approx(np.sqrt(np.mean(residuals**2)), abs=1e-9)
    assert report.mae == pytest.approx(np.mean(np.abs(residuals)), abs=1e-9)
    assert abs(report.plcc_mapped) >= abs(report.plcc) - 1e-9
    assert name == "tiny" or report.srcc_interval[0] <= report.srcc <= report.srcc_interval[1]
    pairs = [(i, j) for i in range(len(y)) for j in range(i) if y[i] != y[j]]
    right = sum(0.5 + 0.5 * np.sign((x[i] - x[j]) * (y[i] - y[j])) for i, j in pairs)
    assert report.pair_accuracy.num_pairs == len(pairs)
    assert report.pair_accuracy.value == pytest.approx(right / len(pairs), abs=1e-9)


def test_an_inverted_scorer_stays_negative_after_the_mapping() -> None:
    report = agreement(*_as_labels("inverted"))
    assert report.mapping.decreasing
    assert report.srcc < -0.9
    assert report.plcc_mapped < -0.9


def test_lower_is_better_labels_give_plus_one_to_a_perfect_scorer() -> None:
    report = agreement(-TRUTH, Labels(mos=TRUTH, higher_is_better=False))
    assert (report.srcc, report.krcc, report.plcc) == pytest.approx((1, 1, 1))
    assert report.plcc_mapped == pytest.approx(1)
    assert report.rmse == pytest.approx(0, abs=1e-6)
    assert report.pair_accuracy.value == 1


def test_failures_ties_and_distinct_scores_are_counted() -> None:
    x = np.array([1.0, 1.0, 1.0, 2.0, np.nan])
    report = agreement(x, Labels(mos=np.array([1.0, 2.0, 3.0, 4.0, 5.0])))
    assert (report.n, report.n_failed, report.distinct_scores) == (4, 1, 2)
    assert report.tie_share == pytest.approx(3 / 6)
    assert tie_share([3.5, 3.5]) == 1


def test_outliers_miss_the_confidence_interval_of_their_own_mos() -> None:
    # Half of the interval: t(15) = 2.1314 times 1 / sqrt(16), so 0.533.
    assert outlier_ratio([0.53, -0.54], [1, 1], [16, 16]) == 0.5
    # Of two ratings only: t(1) = 12.706 / sqrt(2), so 8.98.
    assert outlier_ratio([8.9, 9.1], [1, 1], [2, 2]) == 0.5
    with pytest.raises(StatisticsError, match="at least 2 ratings"):
        outlier_ratio([1, 2], [1, 1], [1, 30])


def test_what_label_noise_decides_needs_spread_and_ratings_of_every_image() -> None:
    x, y = CASES["random"]
    ratings = np.full(90, 25.0)
    std = np.full(90, 1.0)
    report = agreement(x, Labels(mos=y, mos_std=std, num_ratings=ratings))
    residuals = np.abs(y - report.mapping(x))
    assert report.outlier_ratio == np.mean(residuals > scipy.stats.t.ppf(0.975, 24) / 5)
    assert report.pair_classification is not None
    for known in (
        Labels(mos=y, mos_std=std),
        Labels(mos=y, num_ratings=ratings),
        Labels(mos=y, mos_std=np.where(y > 3, np.nan, 1.0), num_ratings=ratings),
        Labels(mos=y, mos_std=std, num_ratings=np.where(y > 3, np.nan, 25.0)),
    ):
        report = agreement(x, known)
        assert (report.outlier_ratio, report.pair_classification) == (None, None)


@pytest.mark.parametrize(
    "scores", [TRUTH * 1e300, TRUTH * 1e-300, 1e9 + TRUTH * 1e-6, np.where(TRUTH > 3, 1.0, np.nextafter(1.0, 2))]
)
def test_scores_that_double_precision_cannot_hold_are_refused(scores: NDArray[np.float64]) -> None:
    with pytest.raises(StatisticsError, match=r"predictions (must not exceed|that differ must differ by more)"):
        agreement(scores, Labels(mos=TRUTH))
    for statistic in (srcc, plcc, krcc):
        with pytest.raises(StatisticsError):
            statistic(scores, TRUTH)
        with pytest.raises(StatisticsError, match="labels"):
            statistic(TRUTH, scores)


@pytest.mark.parametrize("factor", [1e50, 1e-50])
def test_scores_that_it_can_hold_give_the_same_numbers(factor: float) -> None:
    x, y = CASES["random"]
    plain, scaled = agreement(x, Labels(mos=y)), agreement(x * factor, Labels(mos=y))
    assert (scaled.srcc, scaled.plcc, scaled.plcc_mapped) == pytest.approx(
        (plain.srcc, plain.plcc, plain.plcc_mapped), abs=1e-6
    )
    assert scaled.rmse == pytest.approx(plain.rmse)


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        ([2, 2, 2], [1, 2, 3], "all 3 predictions are 2.0"),
        ([1, 2, 3], [4, 4, 4], "all 3 labels are 4.0"),
        ([1, 2, float("nan")], [1, 2, 3], "at least three predicted images, got 2 of 3"),
        ([1, 2], [1, 2], "got 2 of 2"),
        ([1, 2, 3], [1, 2, float("nan")], "every label must be a finite number"),
        ([1, 2, 3], [1, 2], "two arrays of one length"),
    ],
)
def test_what_has_no_answer_is_refused(x: list[float], y: list[float], sentence: str) -> None:
    with pytest.raises(StatisticsError, match=sentence):
        agreement(x, Labels(mos=np.array(y)))


def test_pooling_labels_of_scenes_is_refused_with_the_reason() -> None:
    labels = Labels(mos=np.array([0.0, 100.0, 0.0, 100.0]), groups=("a", "a", "b", "b"))
    with pytest.raises(StatisticsError, match="only inside each of their 2 scenes"):
        agreement([1, 2, 3, 4], labels)


def _as_labels(name: str) -> tuple[NDArray[np.float64], Labels]:
    x, y = CASES[name]
    return x, Labels(mos=y)
