"""The definition of quality and its simulated raters."""

import numpy as np
import pytest

from ray_iqa.quickstart.distortions import LADDER, LEVELS
from ray_iqa.quickstart.quality import rate, true_quality


@pytest.mark.parametrize("kind", LADDER)
def test_quality_falls_with_every_level_from_perfect(kind: str) -> None:
    qualities = [true_quality(kind, level) for level in (0, *LEVELS)]
    assert qualities[0] == true_quality("pristine", 0) == 5.0
    assert (np.diff(qualities) < 0).all()
    assert min(qualities) >= 1.0


def test_known_values() -> None:
    assert true_quality("gaussian_blur", 3) == pytest.approx(2.9)
    assert true_quality("contrast", 5) == pytest.approx(5 - 0.8 * 3.8)


def test_raters_are_unbiased_inside_the_scale_and_kept_on_it_at_its_ends() -> None:
    rng = np.random.default_rng(0)
    labels = np.array([rate(3.0, rng) for _ in range(2000)])
    assert labels[:, 0].mean() == pytest.approx(3.0, abs=0.01)
    assert labels[:, 0].std() == pytest.approx(0.5 / np.sqrt(25), rel=0.05)
    assert np.sqrt((labels[:, 1] ** 2).mean()) == pytest.approx(0.5, rel=0.02)
    best = np.array([rate(5.0, rng) for _ in range(200)])
    assert best[:, 0].max() <= 5.0
    assert best[:, 0].mean() == pytest.approx(5 - 0.5 / np.sqrt(2 * np.pi), abs=0.02)  # half the errors are cut off


def test_a_label_repeats_with_its_seed() -> None:
    assert rate(2.0, np.random.default_rng(4)) == rate(2.0, np.random.default_rng(4))
