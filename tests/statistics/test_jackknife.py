"""The estimator behind every interval and test: closed forms, few contents, many contents."""

import numpy as np
import pytest
from scipy.stats import t as student

from ray_iqa.statistics.jackknife import FEW_CONTENTS, FEWEST_CONTENTS, jackknife, scarcity, single_interval


def values_of(count: int) -> np.ndarray:
    return np.random.default_rng(count).gamma(2.0, size=count)


def test_the_error_of_a_mean_is_the_one_everybody_knows() -> None:
    x = values_of(40)
    found = jackknife(lambda rows: x[rows].mean(), np.arange(40))
    assert found.error == pytest.approx(x.std(ddof=1) / np.sqrt(40))
    low, high = single_interval(found)
    half = student.ppf(0.975, 0.75 * 39) * x.std(ddof=1) / np.sqrt(40)
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half))
    assert found.p_value(x.mean()) == 1.0
    assert found.p_value(high) == pytest.approx(0.05)
    assert found.p_value(low) == pytest.approx(0.05)


def test_versions_of_a_content_are_left_out_together() -> None:
    x, contents = values_of(60), [f"c{number // 4}" for number in range(60)]
    found = jackknife(lambda rows: x[rows].mean(), contents)
    means = x.reshape(15, 4).mean(axis=1)
    assert found.error == pytest.approx(means.std(ddof=1) / np.sqrt(15))
    order = np.random.default_rng(0).permutation(60)
    shuffled = jackknife(lambda rows: x[order][rows].mean(), [contents[i] for i in order])
    assert shuffled.error == pytest.approx(float(found.error))


def test_many_contents_are_left_out_in_parts_that_the_seed_deals() -> None:
    x = values_of(5000)
    sizes = []

    def mean(rows: np.ndarray) -> float:
        sizes.append(len(rows))
        return x[rows].mean()

    found = jackknife(mean, np.arange(5000), seed=1)
    assert sizes == [5000] + [4975] * 200
    assert found.error == pytest.approx(x.std(ddof=1) / np.sqrt(5000), rel=0.15)
    assert jackknife(mean, np.arange(5000), seed=1).error == found.error
    assert jackknife(mean, np.arange(5000), seed=2).error != found.error


@pytest.mark.parametrize(("count", "has_error"), [(1, False), (FEWEST_CONTENTS - 1, False), (FEWEST_CONTENTS, True)])
def test_few_contents_have_a_value_and_no_error(count: int, has_error: bool) -> None:
    x = values_of(100)
    found = jackknife(lambda rows: x[rows].mean(), [str(number % count) for number in range(100)])
    assert found.value == pytest.approx(x.mean())
    assert np.isfinite([*single_interval(found), found.p_value()]).all() == has_error


def test_how_scarce_contents_are_is_said() -> None:
    assert scarcity(5, "references") == "No interval and no test: 5 references, fewer than 12."
    assert scarcity(FEW_CONTENTS - 1, "scenes").startswith("Few scenes (19, below 20)")
    assert scarcity(FEW_CONTENTS, "images") == ""
