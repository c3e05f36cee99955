"""The correlation that noise in the labels allows, even to a scorer that knows the true quality."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import checked_pair, plcc, srcc


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseCeiling:
    """Mean over simulated ratings and where 95 % of them lie."""

    srcc: float
    srcc_interval: tuple[float, float]
    plcc: float
    plcc_interval: tuple[float, float]


def noise_ceiling(
    mos: ArrayLike, mos_std: ArrayLike, num_ratings: ArrayLike, *, seed: int = 0, num_simulations: int = 200
) -> NoiseCeiling:
    """Correlation of the true quality with a MOS that is the mean of noisy ratings.

    The observed MOS are the truth plus noise of variance std^2 / num_ratings, so they are spread wider than the
    truth. They are shrunk towards their mean until truth plus noise has the observed variance, then rated anew.

    Args:
        mos: [n].
        mos_std: [n], between raters, in the unit of ``mos``.
        num_ratings: per image, [n] or one number for all.
        seed: the same seed gives the same ceiling.
        num_simulations: times the images are rated anew.

    Raises:
        StatisticsError: negative spread, no ratings, or noise as large as the spread of the MOS.
    """
    labels, std = checked_pair(mos, mos_std)
    counts = np.broadcast_to(np.asarray(num_ratings, dtype=np.float64), labels.shape)
    if not ((std >= 0).all() and (counts > 0).all()):
        raise StatisticsError("a noise ceiling needs mos_std of at least 0 and more than 0 ratings for every image")
    noise: NDArray[np.float64] = std / np.sqrt(counts)
    observed, unavoidable = float(labels.var()), float((noise**2).mean())
    if not unavoidable < observed:
        raise StatisticsError(
            f"the noise of the MOS must be smaller than their spread, got variances {unavoidable:.4g} and "
            f"{observed:.4g}; is mos_std in another unit, or a variance?"
        )
    truth = labels.mean() + (labels - labels.mean()) * np.sqrt(1 - unavoidable / observed)
    rng = np.random.default_rng(seed)
    rated = [truth + noise * rng.standard_normal(len(truth)) for _ in range(num_simulations)]
    rank = np.array([srcc(truth, again) for again in rated])
    linear = np.array([plcc(truth, again) for again in rated])
    return NoiseCeiling(
        srcc=float(rank.mean()),
        srcc_interval=_middle(rank),
        plcc=float(linear.mean()),
        plcc_interval=_middle(linear),
    )


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    """Where the central 95 % of simulated values lie."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
