import numpy as np
import pytest

from ray_iqa.statistics.mapping import fit_mapping
from ray_iqa.statistics.mapping_band import mapping_band

AT = np.linspace(1, 5, 5)


def problem(num_images: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(1, 5, num_images)
    return x, 100 / (1 + np.exp(-(x - 3) / 0.5)) + rng.normal(0, noise, num_images)


@pytest.mark.parametrize("noise", [6.0, 25.0])
def test_it_agrees_with_the_whole_fit_of_every_resample(noise: float) -> None:
    x, y = problem(200, noise)
    low, high = mapping_band(x, y, fit_mapping(x, y), AT)
    rng = np.random.default_rng(1)
    curves = []
    for _ in range(200):
        drawn = rng.integers(len(x), size=len(x))
        curves.append(fit_mapping(x[drawn], y[drawn])(AT))
    expected_low, expected_high = np.percentile(curves, [2.5, 97.5], axis=0)
    width = expected_high - expected_low
    assert (np.abs(low - expected_low) < 0.35 * width).all()
    assert (np.abs(high - expected_high) < 0.35 * width).all()


def test_it_covers_the_true_curve() -> None:
    truth = 100 / (1 + np.exp(-(AT - 3) / 0.5))
    covered = []
    for seed in range(40):
        x, y = problem(150, 8.0, seed)
        low, high = mapping_band(x, y, fit_mapping(x, y), AT, seed=seed, num_resamples=100)
        covered.append((low <= truth) & (truth <= high))
    assert np.mean(covered) > 0.85


def test_a_line_has_a_band_too() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0])  # too few images for a logistic
    y = np.array([1.1, 1.9, 3.2, 3.8])
    mapping = fit_mapping(x, y)
    assert mapping.form == "line"
    low, high = mapping_band(x, y, mapping, AT)
    assert (low <= mapping(AT) + 1e-9).all()
    assert (high >= mapping(AT) - 1e-9).all()
