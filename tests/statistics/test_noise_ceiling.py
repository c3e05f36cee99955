import numpy as np
import pytest

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import plcc, srcc
from ray_iqa.statistics.noise_ceiling import noise_ceiling


def test_agrees_with_the_truth_of_a_simulated_experiment() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(3, 1, size=4000)
    mos = truth + rng.normal(0, 2, size=(10, 4000)).mean(axis=0)
    ceiling = noise_ceiling(mos, np.full(4000, 2.0), 10)
    # Attenuation: sqrt(var / (var + 2^2 / 10)).
    assert ceiling.plcc == pytest.approx(1 / np.sqrt(1.4), abs=0.01)
    assert ceiling.plcc == pytest.approx(plcc(truth, mos), abs=0.02)
    assert ceiling.srcc == pytest.approx(srcc(truth, mos), abs=0.02)
    assert ceiling.plcc_interval[0] < ceiling.plcc < ceiling.plcc_interval[1]


def test_no_noise_allows_everything() -> None:
    ceiling = noise_ceiling([1, 2, 3], [0, 0, 0], [5, 6, 7])
    assert (ceiling.srcc, ceiling.plcc) == pytest.approx((1, 1))


@pytest.mark.parametrize(
    ("std", "num_ratings", "sentence"),
    [(9, 1, "smaller than their spread"), (1, 0, "more than 0 ratings"), (-1, 4, "at least 0")],
)
def test_nonsense_is_refused(std: float, num_ratings: int, sentence: str) -> None:
    with pytest.raises(StatisticsError, match=sentence):
        noise_ceiling([1, 2, 3], [std] * 3, num_ratings)
