"""The protocol for labels that are comparable inside a scene only: a statistic per scene, then its mean.

SRIQA-Bench and PIQ23 are of this kind: every scene has its own scale, so pooling scenes mixes incomparable numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import is_constant, krcc, plcc, scores_and_labels, srcc
from ray_iqa.statistics.intervals import PairedDifference, fisher_interval
from ray_iqa.statistics.jackknife import Interval, jackknife, single_interval
from ray_iqa.statistics.pairs import pair_accuracy

Statistic = Literal["srcc", "plcc", "krcc", "pair_accuracy"]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupwiseReport:
    """One statistic over scenes. Scenes without an answer are left out of mean and median, and counted."""

    statistic: Statistic
    mean: float
    mean_interval: Interval  # 95 % over scenes; NaN with too few of them
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
        seed: as for `jackknife`.

    Raises:
        StatisticsError: lengths differ, or no scene has an answer.
    """
    x, y = scores_and_labels(predictions, labels)
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
        elif is_constant(x[own]) or is_constant(y[own]):
            num_constant += 1
        else:
            per_group[name] = _STATISTICS[statistic](x[own], y[own])
            n += int(own.sum())
    if not per_group:
        raise StatisticsError(
            f"no scene has a {statistic}: {num_constant} scenes are constant, {num_too_small} have fewer than 2 images"
        )
    values = np.array(list(per_group.values()))
    return GroupwiseReport(
        statistic=statistic,
        mean=float(values.mean()),
        mean_interval=fisher_interval(lambda rows: values[rows].mean(), np.arange(len(values)), seed),
        median=float(np.median(values)),
        per_group=per_group,
        num_constant=num_constant,
        num_too_small=num_too_small,
        n=n,
        n_failed=int((~predicted).sum()),
    )


def paired_groupwise_difference(
    first: GroupwiseReport, second: GroupwiseReport, *, seed: int = 0, null: float = 0.0
) -> PairedDifference:
    """Mean over scenes of the first scorer's statistic minus the second's, in the scenes where both have one.

    Args:
        first: of the images that both predicted.
        second: of the same images.
        seed: as for `jackknife`, which leaves out scenes.
        null: the difference that the p-value is about.

    Raises:
        StatisticsError: there are fewer than two such scenes.
    """
    scenes = sorted(first.per_group.keys() & second.per_group.keys())
    if len(scenes) < 2:
        raise StatisticsError(f"a difference over scenes needs two scenes that both scorers rank, got {len(scenes)}")
    gaps = np.array([first.per_group[scene] - second.per_group[scene] for scene in scenes])
    found = jackknife(lambda rows: gaps[rows].mean(), np.arange(len(gaps)), seed=seed)
    return PairedDifference(difference=float(found.value), interval=single_interval(found), p_value=found.p_value(null))


_STATISTICS: dict[Statistic, Callable[[Vector, Vector], float]] = {
    "srcc": srcc,
    "plcc": plcc,
    "krcc": krcc,
    "pair_accuracy": lambda predictions, labels: pair_accuracy(predictions, labels).value,
}
