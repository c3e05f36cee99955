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
def test_it_agrees_with_a_bootstrap_that_fits_every_resample_anew(noise: float) -> None:
    x, y = problem(200, noise)
    low, high = mapping_band(x, y, fit_mapping(x, y), AT)
    rng = np.random.default_rng(1)
    curves = []
    for _ in range(200):
        drawn = rng.integers(len(x), size=len(x))
        curves.append(fit_mapping(x[drawn], y[drawn])(AT))
    width = np.diff(np.percentile(curves, [2.5, 97.5], axis=0), axis=0)[0]
    assert 0.6 < np.median((high - low) / width) < 1.6


def test_it_covers_the_true_curve() -> None:
    truth = 100 / (1 + np.exp(-(AT - 3) / 0.5))
    covered = []
    for seed in range(40):
        x, y = problem(150, 8.0, seed)
        low, high = mapping_band(x, y, fit_mapping(x, y), AT)
        covered.append((low <= truth) & (truth <= high))
    assert np.mean(covered) > 0.85


def test_a_line_has_a_band_too_and_few_contents_have_none() -> None:
    x = np.repeat([1.0, 2.0, 3.0, 4.0], 5)
    y = x + np.random.default_rng(0).normal(size=20)
    mapping = fit_mapping(x[::5], y[::5])  # too few images for a logistic
    assert mapping.form == "line"
    low, high = mapping_band(x, y, mapping, AT)
    assert (low <= mapping(AT)).all()
    assert (high >= mapping(AT)).all()
    assert np.isnan(mapping_band(x, y, mapping, AT, contents=["a", "b", "c", "d"] * 5)).all()
