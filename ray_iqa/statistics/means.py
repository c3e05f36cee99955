"""Mean scores with intervals, and whether paired scores moved."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import permutation_test

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import checked_pair
from ray_iqa.statistics.jackknife import Interval, checked_contents, jackknife, single_interval

Vector = NDArray[np.float64]
_BLOCK_ELEMENTS = 2**21  # values per block of resamples: 16 MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedChange:
    """Second scores minus first scores of the same things, such as prompts."""

    mean: float
    interval: Interval  # 95 %; NaN with too few pairs
    p_value: float  # two-sided, sign-flip permutation test
    n: int  # pairs


def mean_interval(values: ArrayLike, *, contents: Sequence[str] | None = None, seed: int = 0) -> Interval:
    """95 % interval of a mean by the jackknife, which for means is Student's; (NaN, NaN) with too few contents.

    Args:
        values: [n], finite.
        contents: [n], what each value is of; None where each is of a content of its own.
        seed: as for `jackknife`.

    Raises:
        StatisticsError: there is no value, or one is not finite, or the number of contents is wrong.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not x.size or not np.isfinite(x).all():
        raise StatisticsError(f"the interval of a mean needs finite values in one row, got shape {x.shape}")
    return single_interval(jackknife(lambda rows: x[rows].mean(), checked_contents(contents, len(x)), seed=seed))


def paired_change(first: ArrayLike, second: ArrayLike, *, seed: int = 0, num_resamples: int = 9999) -> PairedChange:
    """Mean of ``second - first``, its interval and how easily chance alone would give one as far from zero.

    The test flips the signs of the differences at random, all flips where there are few pairs: under the hypothesis
    that nothing changed the two scores of a pair may be exchanged (Fisher's randomisation test).

    Args:
        first: [n], finite.
        second: [n], in the same order.
        seed: of the flips.
        num_resamples: flips.

    Raises:
        StatisticsError: lengths differ, fewer than two pairs, or a value is not finite.
    """
    a, b = checked_pair(first, second)
    change = b - a
    test = permutation_test(
        (a, b),
        lambda first, second, axis: np.mean(second - first, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=num_resamples,
        batch=max(1, _BLOCK_ELEMENTS // len(a)),
        rng=np.random.default_rng(seed),
    )
    return PairedChange(
        mean=float(change.mean()),
        interval=mean_interval(change, seed=seed),
        p_value=float(test.pvalue),
        n=len(change),
    )
