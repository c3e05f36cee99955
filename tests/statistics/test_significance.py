import numpy as np
import pytest
from scipy.stats import t as student

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.significance import compare_variances, holm


def test_it_is_the_jackknife_of_the_log_ratio() -> None:
    rng = np.random.default_rng(3)
    shared = rng.normal(size=(15, 4))
    a, b = shared + rng.normal(size=(15, 4)), shared + 1.5 * rng.normal(size=(15, 4))
    ratios = [np.log(np.delete(a, c, 0).var() / np.delete(b, c, 0).var()) for c in range(15)]
    error = np.sqrt(14 / 15 * np.sum((ratios - np.mean(ratios)) ** 2))
    contents = [str(c) for c in np.repeat(np.arange(15), 4)]
    found = compare_variances(a.ravel(), b.ravel(), contents=contents)
    assert found.ratio == pytest.approx(a.var() / b.var())
    assert found.p_value == pytest.approx(2 * student.sf(abs(np.log(a.var() / b.var())) / error, 0.75 * 14))
    assert compare_variances(b.ravel(), a.ravel(), contents=contents).p_value == pytest.approx(found.p_value)


def test_it_holds_its_level_where_residuals_are_correlated() -> None:
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(200):
        shared = rng.normal(size=40)
        p_values.append(compare_variances(shared + rng.normal(size=40), shared + rng.normal(size=40)).p_value)
    assert 0.01 < np.mean(np.array(p_values) < 0.05) < 0.09


def test_equal_residuals_are_refused_and_few_contents_have_no_test() -> None:
    with pytest.raises(StatisticsError, match="at least three images"):
        compare_variances([1, 2, 3], [1, 2, 3])
    assert np.isnan(compare_variances([1, 2, 3], [1, 2, 4]).p_value)


def test_holm_by_hand() -> None:
    # Sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2 raised to 0.06, 0.5.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(StatisticsError, match="0 to 1"):
        holm([float("nan")])
