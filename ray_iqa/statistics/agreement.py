"""Everything said about one scorer on one dataset whose labels share one scale."""

from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import checked_pair, krcc, plcc, rowwise_pearson, scores_and_labels, srcc
from ray_iqa.statistics.intervals import correlation_interval
from ray_iqa.statistics.jackknife import Interval
from ray_iqa.statistics.mapping import Form, Mapping, fit_mapping
from ray_iqa.statistics.pairs import PairAccuracy, PairClassification, pair_accuracy, pair_classification
from ray_iqa.statistics.splits import SplitMedian, split_median

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Labels of the images of one dataset, in one order."""

    mos: Vector  # [n]
    mos_std: Vector | None = None  # [n], between raters; NaN where an image has none
    higher_is_better: bool = True
    num_ratings: Vector | None = None  # [n], behind each label; NaN where nobody knows
    contents: tuple[str, ...] | None = None  # [n] of each image; None where every image is a content of its own
    groups: tuple[str, ...] | None = None  # [n] scenes that labels are comparable in, where they are not across


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementReport:
    """Agreement of predictions and labels. Correlations keep their sign: +1 is perfect, for DMOS-like labels too."""

    n: int  # images with a prediction
    n_failed: int  # images without one, left out everywhere
    distinct_scores: int
    tie_share: float  # of image pairs that get the same prediction
    srcc: float
    srcc_interval: Interval  # 95 %, over contents; NaN with too few of them, as plcc_interval
    krcc: float  # tau-b
    plcc: float  # of the raw predictions
    plcc_interval: Interval
    plcc_mapped: float  # after ``mapping``; negative when it is decreasing
    mapping: Mapping  # onto the labels, negated where lower is better
    rmse: float  # after ``mapping``, in the unit of the labels, as mae
    mae: float
    pair_accuracy: PairAccuracy
    outlier_ratio: float | None  # after ``mapping``; None where an image lacks mos_std or two ratings
    pair_classification: PairClassification | None  # likewise
    splits: SplitMedian


def agreement(
    predictions: ArrayLike, labels: Labels, *, form: Form = "logistic4", min_gap: float = 0.0, seed: int = 0
) -> AgreementReport:
    """Compare predictions with labels.

    Args:
        predictions: [n], NaN for an image that failed.
        labels: of the same images.
        form: of the mapping before RMSE, MAE and the mapped PLCC, which is fitted on these very images.
        min_gap: of the labels of a pair that counts in the pair accuracy.
        seed: of the random splits, and as for `jackknife`.

    Raises:
        StatisticsError: labels are comparable within scenes only, fewer than three images were predicted, or
            predictions or labels are constant, so that no correlation exists.
    """
    if labels.groups is not None:
        raise StatisticsError(
            f"these labels are comparable only inside each of their {len(set(labels.groups))} scenes, so a pooled "
            "correlation has no meaning; take the correlation per scene and its mean over scenes (groupwise)"
        )
    scores, mos = scores_and_labels(predictions, labels.mos)
    kept = _predicted(scores, mos)
    x, y = scores[kept], (mos if labels.higher_is_better else -mos)[kept]
    std = None if labels.mos_std is None else labels.mos_std[kept]
    contents = None if labels.contents is None else list(compress(labels.contents, kept))
    mapping = fit_mapping(x, y, form)
    residuals = y - mapping(x)
    ratings = None if labels.num_ratings is None else labels.num_ratings[kept]
    outliers = classified = None
    if std is not None and ratings is not None and not np.isnan(std).any() and (ratings >= 2).all():
        outliers = outlier_ratio(residuals, std, ratings)
        classified = pair_classification(x, y, std / np.sqrt(ratings), seed=seed)
    return AgreementReport(
        n=len(x),
        n_failed=int((~kept).sum()),
        distinct_scores=len(np.unique(x)),
        tie_share=tie_share(x),
        srcc=srcc(x, y),
        srcc_interval=correlation_interval(x, y, "srcc", contents=contents, seed=seed),
        krcc=krcc(x, y),
        plcc=plcc(x, y),
        plcc_interval=correlation_interval(x, y, "plcc", contents=contents, seed=seed),
        plcc_mapped=float(rowwise_pearson(mapping(x), y)) * (-1 if mapping.decreasing else 1),
        mapping=mapping,
        rmse=float(np.sqrt(np.mean(residuals**2))),
        mae=float(np.mean(np.abs(residuals))),
        pair_accuracy=pair_accuracy(x, y, min_gap=min_gap),
        outlier_ratio=outliers,
        pair_classification=classified,
        splits=split_median(x, y, contents=contents, seed=seed),
    )


def outlier_ratio(residuals: ArrayLike, label_std: ArrayLike, num_ratings: ArrayLike) -> float:
    """Share of images whose residual exceeds the 95 % confidence interval of their own MOS (ITU-T P.1401).

    Half of that interval is Student's quantile times the spread of the ratings over the root of their number.

    Args:
        residuals: [n].
        label_std: [n], between raters, in the unit of the residuals.
        num_ratings: [n], at least two.

    Raises:
        StatisticsError: a spread is missing or negative, or a label has fewer than two ratings.
    """
    error, std = checked_pair(residuals, label_std)
    _, ratings = checked_pair(residuals, num_ratings)
    if not ((std >= 0).all() and (ratings >= 2).all()):
        raise StatisticsError("an outlier ratio needs mos_std of at least 0 and at least 2 ratings for every image")
    return float((np.abs(error) > student.ppf(0.975, ratings - 1) * std / np.sqrt(ratings)).mean())


def tie_share(predictions: ArrayLike) -> float:
    """Share of image pairs with equal predictions; 0 where all differ, 1 where none does."""
    x = np.asarray(predictions, dtype=np.float64)
    _, counts = np.unique(x, return_counts=True)
    return float((counts * (counts - 1)).sum() / (len(x) * (len(x) - 1)))


def _predicted(scores: Vector, mos: Vector) -> NDArray[np.bool_]:
    """[n] where a prediction is there; refuses what has no correlation."""
    if not np.isfinite(mos).all():
        raise StatisticsError("every label must be a finite number")
    kept = ~np.isnan(scores)
    if kept.sum() < 3:
        raise StatisticsError(f"agreement needs at least three predicted images, got {kept.sum()} of {len(scores)}")
    for name, values in (("predictions", scores[kept]), ("labels", mos[kept])):
        if np.ptp(values) == 0:
            raise StatisticsError(f"all {len(values)} {name} are {float(values[0])!r}, so there is no correlation")
    return kept
