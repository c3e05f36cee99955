import numpy as np
import pytest
from scipy.stats import t as student

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.significance import holm, pitman_morgan


def test_pitman_morgan_by_its_own_formula() -> None:
    rng = np.random.default_rng(3)
    shared = rng.normal(size=50)
    a, b = shared + rng.normal(size=50), shared + 2 * rng.normal(size=50)
    ratio, r = a.var() / b.var(), np.corrcoef(a, b)[0, 1]
    # Pitman 1939: t = (F - 1) sqrt(n - 2) / (2 sqrt(F (1 - r^2))) with the variance ratio F.
    statistic = (ratio - 1) * np.sqrt(48) / (2 * np.sqrt(ratio * (1 - r**2)))
    result = pitman_morgan(a, b)
    assert result.ratio == pytest.approx(ratio, abs=1e-9)
    assert result.p_value == pytest.approx(2 * student.sf(abs(statistic), 48), abs=1e-9)
    assert pitman_morgan(b, a).p_value == pytest.approx(result.p_value, abs=1e-9)


def test_pitman_morgan_holds_its_level_where_residuals_are_correlated() -> None:
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(400):
        shared = rng.normal(size=40)
        p_values.append(pitman_morgan(shared + rng.normal(size=40), shared + rng.normal(size=40)).p_value)
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.09


def test_equal_residuals_are_refused() -> None:
    with pytest.raises(StatisticsError, match="at least three images"):
        pitman_morgan([1, 2, 3], [1, 2, 3])


def test_holm_by_hand() -> None:
    # Sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2 raised to 0.06, 0.5.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(StatisticsError, match="0 to 1"):
        holm([float("nan")])
