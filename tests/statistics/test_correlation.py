import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from ray_iqa.statistics.correlation import krcc, plcc, srcc

X, Y = [1.0, 2.0, 2.0, 4.0, 5.0], [2.0, 1.0, 3.0, 3.0, 9.0]


def test_against_ranks_and_pairs_counted_by_hand() -> None:
    ranks_x, ranks_y = [1, 2.5, 2.5, 4, 5], [2, 1, 3.5, 3.5, 5]
    assert srcc(X, Y) == pytest.approx(np.corrcoef(ranks_x, ranks_y)[0, 1])
    assert plcc(X, Y) == pytest.approx(np.corrcoef(X, Y)[0, 1])
    # Ten pairs: one tied in X, one tied in Y, (0, 1) discordant, seven concordant; tau-b divides by sqrt(9 * 9).
    assert krcc(X, Y) == pytest.approx((7 - 1) / 9)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3)), min_size=2, max_size=30))
def test_agrees_with_scipy(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=np.float64).T
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert all(math.isnan(coefficient(x, y)) for coefficient in (srcc, plcc, krcc))
        return
    assert srcc(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-12)
    assert plcc(x, y) == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-12)
    assert krcc(x, y) == pytest.approx(scipy.stats.kendalltau(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_pyiqa_where_it_is_installed(seed: int) -> None:
    theirs = pytest.importorskip("pyiqa.metrics.correlation_coefficient")
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=50).round(seed % 3 + 1), rng.normal(size=50).round(1)  # with ties
    for ours, named in ((srcc, "srcc"), (plcc, "plcc"), (krcc, "krcc")):
        assert ours(x, y) == pytest.approx(getattr(theirs, f"calculate_{named}")(x, y), abs=1e-9)


@pytest.mark.parametrize("coefficient", [srcc, plcc, krcc])
def test_orientation_and_undefined_values(coefficient: object) -> None:
    assert coefficient([1, 2, 3], [10, 20, 30]) == pytest.approx(1)
    assert coefficient([1, 2, 3], [30, 20, 10]) == pytest.approx(-1)
    assert math.isnan(coefficient([0.1, 0.1, 0.1], [1, 2, 3]))
    assert math.isnan(coefficient([1, 2, 3], [1, math.nan, 3]))


@pytest.mark.parametrize("coefficient", [srcc, plcc, krcc])
@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, 2, 3]), ([1], [1]), ([], []), ([[1, 2]], [[1, 2]])])
def test_shapes_are_checked(coefficient: object, x: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError, match="two arrays of one length"):
        coefficient(x, y)
