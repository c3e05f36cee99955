"""How far a correlation could move with another draw of images, of references or of scenes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import checked_pair, rowwise_pearson, srcc

Vector = NDArray[np.float64]

_BLOCK_ELEMENTS = 2**21  # values per block of resamples: 16 MiB per array


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """SRCC of the first scorer minus SRCC of the second on the same images."""

    difference: float
    interval: tuple[float, float]  # bootstrap 95 %
    p_value: float  # two-sided: how often resamples fall on the other side of zero


def bootstrap_interval(
    predictions: ArrayLike,
    labels: ArrayLike,
    coefficient: Literal["srcc", "plcc"],
    *,
    clusters: Sequence[str] | None = None,
    seed: int = 0,
    num_resamples: int = 1000,
) -> tuple[float, float]:
    """95 % percentile interval of a correlation, by drawing images, or whole clusters, with replacement.

    Resamples in which the correlation does not exist (a constant side) are left out; (NaN, NaN) when none is left.
    Ranks are taken anew in every resample.

    Args:
        predictions: [n].
        labels: [n].
        coefficient: which correlation.
        clusters: [n], the reference or scene of each image; images of one are drawn together, which is right
            where they are versions of the same content.
        seed: the same seed gives the same interval.
        num_resamples: draws.

    Raises:
        StatisticsError: as the correlations do, or fewer than two clusters.
    """
    x, y = checked_pair(predictions, labels)
    rng = np.random.default_rng(seed)
    if clusters is None:
        rows = max(1, _BLOCK_ELEMENTS // len(x))
        sizes = [min(rows, num_resamples - start) for start in range(0, num_resamples, rows)]
        values = np.concatenate([_resampled(x, y, coefficient, rng, size) for size in sizes])
    else:
        draws = _cluster_draws(clusters, len(x), num_resamples, rng)
        values = np.array([_correlation(x[drawn], y[drawn], coefficient) for drawn in draws])
    return percentile_interval(values)


def paired_srcc_difference(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    *,
    clusters: Sequence[str] | None = None,
    seed: int = 0,
    num_resamples: int = 2000,
) -> PairedDifference:
    """Paired bootstrap of the difference of two SRCC: both scorers see the same draws.

    Args:
        first: [n] predictions.
        second: [n] predictions for the same images.
        labels: [n].
        clusters: as for `bootstrap_interval`.
        seed: the same seed gives the same answer.
        num_resamples: draws.

    Raises:
        StatisticsError: lengths differ, or a scorer or the labels are constant, so there is no SRCC to compare.
    """
    a, y = checked_pair(first, labels)
    b, _ = checked_pair(second, labels)
    difference = srcc(a, y) - srcc(b, y)
    if np.isnan(difference):
        raise StatisticsError("a difference of SRCC needs two scorers and labels that are finite and not constant")
    rng = np.random.default_rng(seed)
    draws = (
        (rng.integers(len(y), size=len(y)) for _ in range(num_resamples))
        if clusters is None
        else _cluster_draws(clusters, len(y), num_resamples, rng)
    )
    values = np.array([_srcc_difference(a[drawn], b[drawn], y[drawn]) for drawn in draws])
    values = values[~np.isnan(values)]
    return PairedDifference(
        difference=difference, interval=percentile_interval(values), p_value=two_sided_p_value(values)
    )


def two_sided_p_value(differences: Vector) -> float:
    """Twice the share of resampled differences on the other side of zero, never 0."""
    opposite = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (opposite + 1) / (len(differences) + 1))


def percentile_interval(values: Vector) -> tuple[float, float]:
    """Central 95 % of resampled values, those that do not exist left out; (NaN, NaN) when none is left."""
    defined = values[~np.isnan(values)]
    if not defined.size:
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def _resampled(x: Vector, y: Vector, coefficient: str, rng: np.random.Generator, size: int) -> Vector:
    """[size] correlations, each of n images drawn with replacement."""
    drawn = rng.integers(len(x), size=(size, len(x)))
    return _correlation(x[drawn], y[drawn], coefficient)


def _correlation(x: Vector, y: Vector, coefficient: str) -> Vector:
    if coefficient == "plcc":
        return rowwise_pearson(x, y)
    return rowwise_pearson(rankdata(x, axis=-1), rankdata(y, axis=-1))


def _srcc_difference(a: Vector, b: Vector, y: Vector) -> float:
    ranks = rankdata(y)
    return float(rowwise_pearson(rankdata(a), ranks) - rowwise_pearson(rankdata(b), ranks))


def _cluster_draws(
    clusters: Sequence[str], num_images: int, num_resamples: int, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    """Image numbers of each resample: as many clusters as there are, drawn with replacement."""
    if len(clusters) != num_images:
        raise StatisticsError(f"every image needs its cluster, got {len(clusters)} clusters for {num_images} images")
    _, cluster_of = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    order = np.argsort(cluster_of, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(cluster_of[order])) + 1)
    if len(members) < 2:
        raise StatisticsError("a bootstrap needs at least two clusters to draw from, got one")
    for _ in range(num_resamples):
        yield np.concatenate([members[index] for index in rng.integers(len(members), size=len(members))])
