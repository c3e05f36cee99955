"""The protocol for labels that are comparable inside a scene only: a statistic per scene, then its mean.

SRIQA-Bench and PIQ23 are of this kind: every scene has its own scale, so pooling scenes mixes incomparable numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.bootstrap import PairedDifference, percentile_interval, two_sided_p_value
from ray_iqa.statistics.correlation import checked_pair, krcc, plcc, srcc
from ray_iqa.statistics.pairs import pair_accuracy

Statistic = Literal["srcc", "plcc", "krcc", "pair_accuracy"]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupwiseReport:
    """One statistic over scenes. Scenes without an answer are left out of mean and median, and counted."""

    statistic: Statistic
    mean: float
    mean_interval: tuple[float, float]  # bootstrap 95 %, scenes drawn with replacement
    median: float  # the habit of PIQ23's authors
    per_group: dict[str, float]
    num_constant: int  # scenes dropped because predictions or labels are constant
    num_too_small: int  # scenes dropped with fewer than two predicted images
    n: int  # predicted images in the scenes that count
    n_failed: int  # images without a prediction


def groupwise(
    predictions: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[str],
    *,
    statistic: Statistic = "srcc",
    higher_is_better: bool = True,
    seed: int = 0,
) -> GroupwiseReport:
    """The statistic of each scene and its mean.

    Args:
        predictions: [n], NaN for an image that failed.
        labels: [n].
        groups: [n], the scene of each image.
        statistic: which; correlations keep their sign.
        higher_is_better: of the labels.
        seed: of the bootstrap.

    Raises:
        StatisticsError: lengths differ, or no scene has an answer.
    """
    x, y = checked_pair(predictions, labels)
    if len(groups) != len(x):
        raise StatisticsError(f"every image needs its scene, got {len(groups)} scenes for {len(x)} images")
    y = y if higher_is_better else -y
    names = np.asarray(groups, dtype=str)
    predicted = ~np.isnan(x)
    per_group: dict[str, float] = {}
    num_constant = num_too_small = n = 0
    for name in sorted(set(groups)):
        own = predicted & (names == name)
        if own.sum() < 2:
            num_too_small += 1
        elif np.ptp(x[own]) == 0 or np.ptp(y[own]) == 0:
            num_constant += 1
        else:
            per_group[name] = _STATISTICS[statistic](x[own], y[own])
            n += int(own.sum())
    if not per_group:
        raise StatisticsError(
            f"no scene has a {statistic}: {num_constant} scenes are constant, {num_too_small} have fewer than 2 images"
        )
    values = np.array(list(per_group.values()))
    drawn = np.random.default_rng(seed).integers(len(values), size=(1000, len(values)))
    return GroupwiseReport(
        statistic=statistic,
        mean=float(values.mean()),
        mean_interval=percentile_interval(values[drawn].mean(axis=1)),
        median=float(np.median(values)),
        per_group=per_group,
        num_constant=num_constant,
        num_too_small=num_too_small,
        n=n,
        n_failed=int((~predicted).sum()),
    )


def paired_groupwise_difference(
    first: GroupwiseReport, second: GroupwiseReport, *, seed: int = 0, num_resamples: int = 2000
) -> PairedDifference:
    """Mean over scenes of the first scorer's statistic minus the second's, in the scenes where both have one.

    Args:
        first: of the images that both predicted.
        second: of the same images.
        seed: of the bootstrap, which draws scenes.
        num_resamples: draws.

    Raises:
        StatisticsError: there are fewer than two such scenes.
    """
    scenes = sorted(first.per_group.keys() & second.per_group.keys())
    if len(scenes) < 2:
        raise StatisticsError(f"a difference over scenes needs two scenes that both scorers rank, got {len(scenes)}")
    gaps = np.array([first.per_group[scene] - second.per_group[scene] for scene in scenes])
    drawn = np.random.default_rng(seed).integers(len(gaps), size=(num_resamples, len(gaps)))
    values = gaps[drawn].mean(axis=1)
    return PairedDifference(
        difference=float(gaps.mean()), interval=percentile_interval(values), p_value=two_sided_p_value(values)
    )


def _pair_accuracy(predictions: Vector, labels: Vector) -> float:
    return pair_accuracy(predictions, labels).value


_STATISTICS: dict[Statistic, Callable[[Vector, Vector], float]] = {
    "srcc": srcc,
    "plcc": plcc,
    "krcc": krcc,
    "pair_accuracy": _pair_accuracy,
}
