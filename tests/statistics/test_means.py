import itertools

import numpy as np
import pytest

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.means import mean_interval, paired_change


def test_the_interval_is_that_of_the_normal_law_for_many_values() -> None:
    values = np.random.default_rng(0).normal(3.0, 0.5, 4000)
    low, high = mean_interval(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    intervals = [mean_interval(rng.normal(0, 1, 40), seed=i) for i in range(300)]
    assert 0.90 <= np.mean([low <= 0 <= high for low, high in intervals]) <= 0.98


def test_few_values_have_no_interval() -> None:
    assert np.isnan(mean_interval([2.5])).all()
    assert np.isnan(mean_interval(np.arange(100.0), contents=["a", "b"] * 50)).all()


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [[1.0, 2.0]]])
def test_what_has_no_mean_is_refused(values: object) -> None:
    with pytest.raises(StatisticsError, match="finite values in one row"):
        mean_interval(values)  # type: ignore[arg-type]


def test_few_pairs_are_tested_against_every_flip_of_signs() -> None:
    first, second = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.5, 2.2, 3.9, 3.9, 5.3, 6.1]
    changes = np.subtract(second, first)
    flipped = [np.dot(signs, changes) for signs in itertools.product((1, -1), repeat=6)]
    larger = np.mean([total >= changes.sum() - 1e-12 for total in flipped])
    found = paired_change(first, second)
    assert found.p_value == pytest.approx(2 * larger)
    assert found.mean == pytest.approx(changes.mean())
    assert found.n == 6
    assert np.isnan(found.interval).all()


def test_pairing_shows_what_the_spread_between_prompts_hides() -> None:
    rng = np.random.default_rng(2)
    prompts = rng.normal(3, 1, 200)
    later = prompts + 0.05 + rng.normal(0, 0.1, 200)
    found = paired_change(prompts, later)
    assert found.p_value < 0.001
    assert found.interval[0] > 0
    assert found == paired_change(prompts, later)


def test_no_change_is_found_by_chance_about_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(3)
    found = [paired_change(*rng.normal(0, 1, (2, 30)), seed=i, num_resamples=500).p_value for i in range(200)]
    assert np.mean(np.array(found) < 0.05) <= 0.1
