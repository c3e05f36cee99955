import math

import numpy as np
import pytest
import scipy.stats

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics import bootstrap
from ray_iqa.statistics.bootstrap import bootstrap_interval, paired_srcc_difference
from ray_iqa.statistics.correlation import plcc, srcc


@pytest.mark.parametrize(("name", "coefficient"), [("srcc", srcc), ("plcc", plcc)])
def test_agrees_with_scipy_bootstrap(name: str, coefficient: object) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=120).round(1)
    y = (x + rng.normal(size=120)).round(1)
    expected = scipy.stats.bootstrap(
        (x, y), coefficient, paired=True, vectorized=False, n_resamples=1000, method="percentile", rng=2
    ).confidence_interval
    low, high = bootstrap_interval(x, y, name)
    assert low < coefficient(x, y) < high
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.03)


def test_the_seed_decides_and_memory_blocks_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 40))
    first = bootstrap_interval(x, y, "srcc", seed=3)
    assert bootstrap_interval(x, y, "srcc", seed=4) != first
    monkeypatch.setattr(bootstrap, "_BLOCK_ELEMENTS", 1000)
    assert bootstrap_interval(x, y, "srcc", seed=3) == first


def test_constant_sides_have_no_interval() -> None:
    assert all(math.isnan(bound) for bound in bootstrap_interval([1, 1, 1], [1, 2, 3], "plcc"))
    low, high = bootstrap_interval([1, 2], [1, 2], "srcc")  # half of the resamples repeat one image
    assert (low, high) == pytest.approx((1, 1))


def test_whole_references_are_drawn_together() -> None:
    # Twenty versions of each of four contents: the contents carry all the information there is.
    rng = np.random.default_rng(5)
    content = np.repeat(rng.normal(size=4), 20)
    x, y = content + 0.01 * rng.normal(size=80), content + 0.01 * rng.normal(size=80)
    x[:20] -= 3
    names = [f"ref{index // 20}" for index in range(80)]
    by_image = bootstrap_interval(x, y, "srcc", seed=1)
    by_reference = bootstrap_interval(x, y, "srcc", clusters=names, seed=1)
    assert np.diff(by_reference) > 2 * np.diff(by_image)
    order = rng.permutation(80)
    shuffled = bootstrap_interval(x[order], y[order], "srcc", clusters=[names[i] for i in order], seed=1)
    assert shuffled == pytest.approx(by_reference)
    with pytest.raises(StatisticsError, match="at least two clusters"):
        bootstrap_interval(x, y, "srcc", clusters=["a"] * 80)
    with pytest.raises(StatisticsError, match="its cluster"):
        bootstrap_interval(x, y, "srcc", clusters=["a", "b"])


def test_paired_difference_sees_what_separate_intervals_do_not() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(size=300)
    shared = y + 0.8 * rng.normal(size=300)
    better, worse = shared + 0.1 * rng.normal(size=300), shared + 0.5 * rng.normal(size=300)
    result = paired_srcc_difference(better, worse, y, seed=0)
    assert result.difference == pytest.approx(srcc(better, y) - srcc(worse, y))
    assert result.interval[0] > 0
    assert result.p_value < 0.05
    assert bootstrap_interval(better, y, "srcc")[0] < bootstrap_interval(worse, y, "srcc")[1]
    assert paired_srcc_difference(worse, better, y, seed=0).interval[1] == pytest.approx(-result.interval[0])


def test_a_scorer_does_not_differ_from_itself() -> None:
    result = paired_srcc_difference([1, 3, 2, 4], [1, 3, 2, 4], [1, 2, 3, 4], clusters=list("abcd"))
    assert (result.difference, result.interval, result.p_value) == (0, (0, 0), 1)
    with pytest.raises(StatisticsError, match="not constant"):
        paired_srcc_difference([1, 1, 1], [1, 2, 3], [1, 2, 3])
