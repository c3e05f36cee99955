"""The logistic fit: exact recovery, the line as a floor, and no failure on random problems of the field's scales."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.mapping import fit_mapping

SCALES = [(1, 5), (0, 100), (0, 1), (0, 9), (-7, 5), (900, 1850)]  # ACR, SPAQ, UHD-IQA, TID2013, PIQ23, PIPAL


def problem(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predictions and labels on two random scales: smooth, quarter steps, inverted or pure noise."""
    rng = np.random.default_rng(seed)
    n = int(rng.choice([20, 60, 200, 1000]))
    (low_x, high_x), (low_y, high_y) = (SCALES[k] for k in rng.integers(len(SCALES), size=2))
    quality = rng.uniform(size=n)
    shown = 1 / (1 + np.exp(-(quality - rng.uniform(0.2, 0.8)) * rng.uniform(1, 12)))
    shown += rng.normal(size=n) * rng.choice([0, 0.05, 0.2, 1])
    x = low_x + (high_x - low_x) * shown
    match seed % 4:
        case 1:
            x = low_x + (high_x - low_x) * np.round(shown * 16) / 16
        case 2:
            x = -x
        case 3:
            x = rng.permutation(x)
    return x, low_y + (high_y - low_y) * quality


def check(seed: int) -> None:
    x, y = problem(seed)
    r = np.corrcoef(x, y)[0, 1]
    error_of_line = (1 - r**2) * ((y - y.mean()) ** 2).sum()
    for form in ("logistic4", "logistic5"):
        mapping = fit_mapping(x, y, form)
        mapped = mapping(x)
        assert mapping.converged
        assert ((mapped - y) ** 2).sum() == pytest.approx(mapping.squared_error, rel=1e-6, abs=1e-9)
        assert mapping.squared_error <= error_of_line * (1 + 1e-9)
        assert abs(np.corrcoef(mapped, y)[0, 1]) >= abs(r) - 1e-9


@pytest.mark.parametrize("first", range(0, 80, 20))
def test_converges_and_is_never_worse_than_the_line(first: int) -> None:
    for seed in range(first, first + 20):
        check(seed)


@pytest.mark.long
@pytest.mark.parametrize("first", range(80, 1000, 115))
def test_converges_and_is_never_worse_than_the_line_on_a_thousand_problems(first: int) -> None:
    for seed in range(first, first + 115):
        check(seed)


def test_a_noiseless_logistic_is_recovered_in_the_units_of_the_data() -> None:
    x = np.linspace(0, 100, 80)
    y = 1.2 + (4.6 - 1.2) / (1 + np.exp(-(x - 40) / 12))
    mapping = fit_mapping(x, y)
    assert mapping.form == "logistic4"
    assert mapping.parameters == pytest.approx((1.2, 4.6, 40, 12), rel=1e-5)
    assert not mapping.decreasing
    tilted = fit_mapping(x, y + 0.01 * x, "logistic5")
    assert tilted.form == "logistic5"
    assert tilted(x) == pytest.approx(y + 0.01 * x, abs=1e-6)


def test_a_decreasing_fit_is_flagged() -> None:
    x = np.linspace(-2, 2, 40)
    assert fit_mapping(x, -np.tanh(x)).decreasing
    assert fit_mapping(x, -x).decreasing


def test_the_line_is_kept_where_it_is_exact_or_data_are_few() -> None:
    assert fit_mapping([1, 2, 3, 4], [1, 0, 5, 2]).form == "line"
    exact = fit_mapping(np.arange(9.0), 3 - 2 * np.arange(9.0))
    assert exact(10) == pytest.approx(-17)
    assert fit_mapping([1.0, 2.0], [4.0, 8.0]).parameters == pytest.approx((0, 4))


def test_constant_labels_have_a_constant_mapping() -> None:
    assert fit_mapping(np.arange(9.0), np.full(9, 2.5))(4.2) == pytest.approx(2.5)


@pytest.mark.parametrize("x", [[1, 1, 1], [1, 2, float("nan")]])
def test_what_cannot_be_mapped_is_refused(x: list[float]) -> None:
    with pytest.raises(StatisticsError, match=r"predictions that differ|finite predictions"):
        fit_mapping(x, [1, 2, 3])
