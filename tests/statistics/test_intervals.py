import numpy as np
import pytest
import scipy.stats

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import plcc, srcc
from ray_iqa.statistics.intervals import correlation_interval, paired_srcc_difference


@pytest.mark.parametrize(("name", "coefficient"), [("srcc", srcc), ("plcc", plcc)])
def test_it_agrees_with_scipys_bootstrap_where_images_are_many(name: str, coefficient: object) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=150).round(1)
    y = (x + rng.normal(size=150)).round(1)
    expected = scipy.stats.bootstrap(
        (x, y), coefficient, paired=True, vectorized=False, n_resamples=1000, method="BCa", rng=2
    ).confidence_interval
    low, high = correlation_interval(x, y, name)
    assert low < coefficient(x, y) < high
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.03)


@pytest.mark.parametrize(("name", "coefficient"), [("srcc", scipy.stats.spearmanr), ("plcc", scipy.stats.pearsonr)])
def test_it_is_the_delete_one_jackknife_on_fishers_scale(name: str, coefficient: object) -> None:
    rng = np.random.default_rng(2)
    content = np.repeat(np.arange(14), 5)
    x = rng.normal(size=70) + rng.normal(size=14)[content]
    y = x + rng.normal(size=70)
    without = [np.arctanh(coefficient(x[content != c], y[content != c]).statistic) for c in range(14)]
    error = np.sqrt(13 / 14 * np.sum((without - np.mean(without)) ** 2))
    half = scipy.stats.t.ppf(0.975, 0.75 * 13) * error
    centre = np.arctanh(coefficient(x, y).statistic)
    expected = np.tanh([centre - half, centre + half])
    assert correlation_interval(x, y, name, contents=[str(c) for c in content]) == pytest.approx(tuple(expected))


def test_sides_without_a_correlation_have_no_interval_and_perfect_ones_a_point() -> None:
    assert np.isnan(correlation_interval([1] * 20, np.arange(20), "plcc")).all()
    one = [0.0] * 19 + [1.0]  # constant without its last value
    assert np.isnan(correlation_interval(one, np.arange(20), "srcc")).all()
    assert correlation_interval(np.arange(20), np.arange(20), "srcc") == pytest.approx((1, 1))


def test_whole_references_are_left_out_together() -> None:
    # Twenty versions of each of 16 contents: the contents carry most of the information there is.
    rng = np.random.default_rng(5)
    content = np.repeat(rng.normal(size=16), 20)
    x, y = content + 0.01 * rng.normal(size=320), content + 0.01 * rng.normal(size=320)
    x += np.repeat(rng.normal(size=16), 20)
    names = [f"ref{index // 20}" for index in range(320)]
    by_image = correlation_interval(x, y, "srcc", seed=1)
    by_reference = correlation_interval(x, y, "srcc", contents=names, seed=1)
    assert np.diff(by_reference) > 2 * np.diff(by_image)
    order = rng.permutation(320)
    shuffled = correlation_interval(x[order], y[order], "srcc", contents=[names[i] for i in order], seed=1)
    assert shuffled == pytest.approx(by_reference)
    assert np.isnan(correlation_interval(x, y, "srcc", contents=["a"] * 320)).all()
    with pytest.raises(StatisticsError, match="every image needs its content, got 2 contents for 320"):
        correlation_interval(x, y, "srcc", contents=["a", "b"])


def test_paired_difference_sees_what_separate_intervals_do_not() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(size=300)
    shared = y + 0.8 * rng.normal(size=300)
    better, worse = shared + 0.1 * rng.normal(size=300), shared + 0.5 * rng.normal(size=300)
    result = paired_srcc_difference(better, worse, y)
    assert result.difference == pytest.approx(srcc(better, y) - srcc(worse, y))
    assert result.interval[0] > 0
    assert result.p_value < 0.05
    assert correlation_interval(better, y, "srcc")[0] < correlation_interval(worse, y, "srcc")[1]
    assert paired_srcc_difference(worse, better, y).interval[1] == pytest.approx(-result.interval[0])
    assert paired_srcc_difference(better, worse, y, null=result.interval[1]).p_value == pytest.approx(0.05)


def test_a_scorer_does_not_differ_from_itself() -> None:
    scores = np.random.default_rng(0).normal(size=30)
    result = paired_srcc_difference(scores, scores, np.arange(30))
    assert (result.difference, result.interval, result.p_value) == (0, (0, 0), 1)
    with pytest.raises(StatisticsError, match="not constant"):
        paired_srcc_difference([1, 1, 1], [1, 2, 3], [1, 2, 3])
