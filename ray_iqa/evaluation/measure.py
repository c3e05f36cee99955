"""What one model's predictions on one dataset amount to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ray_iqa.errors import StatisticsError
from ray_iqa.evaluation.records import PredictionRow
from ray_iqa.statistics.agreement import Labels, agreement, tie_share
from ray_iqa.statistics.groupwise import GroupwiseReport, Statistic, groupwise
from ray_iqa.statistics.jackknife import scarcity
from ray_iqa.statistics.noise_ceiling import NoiseCeiling


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One line of the results. Numbers without an answer are None, and ``note`` says why.

    Correlations keep their sign and are oriented: +1 is perfect for DMOS-like labels too.
    """

    model: str
    dataset: str
    decoding: str
    protocol: Literal["pooled", "mean over scenes"]
    n: int  # images with a prediction, in the scenes that count
    n_failed: int
    n_ties: int  # pairs of images with equal predictions
    n_distinct: int  # different predictions
    srcc: float | None = None
    srcc_low: float | None = None  # 95 %, over what ``resampled`` says
    srcc_high: float | None = None
    plcc: float | None = None  # of the raw predictions
    plcc_low: float | None = None
    plcc_high: float | None = None
    plcc_mapped: float | None = None
    krcc: float | None = None
    rmse: float | None = None  # after the mapping, as mae and outlier_ratio, in the unit of the labels
    mae: float | None = None
    pair_accuracy: float | None = None
    outlier_ratio: float | None = None
    different_similar: float | None = None  # areas of Krasula's two classifications of pairs
    better_worse: float | None = None
    srcc_split_median: float | None = None  # over random test parts by content
    plcc_split_median: float | None = None
    resampled: Literal["images", "references", "scenes"] = "images"
    num_resampled: int | None = None  # how many of these there are
    mapping: str | None = None  # form that was kept
    mapping_parameters: tuple[float, ...] = ()
    num_scenes: int | None = None  # that count
    srcc_median: float | None = None  # over scenes
    ceiling_srcc: float | None = None  # that label noise allows; see `evaluation.ceiling`
    ceiling_plcc: float | None = None
    note: str = ""


def measure(rows: Sequence[PredictionRow], decoding: str, seed: int, num_ratings: float | None = None) -> Measurement:
    """Measure the predictions of one model on one dataset.

    Args:
        rows: all of them, failed ones too.
        decoding: as it is to be stated.
        seed: of intervals and random splits.
        num_ratings: per image; None where nobody knows.
    """
    scores = predictions(rows)
    found = scores[~np.isnan(scores)]
    pairs = len(found) * (len(found) - 1) // 2
    empty = Measurement(
        model=rows[0].model,
        dataset=rows[0].dataset,
        decoding=decoding,
        protocol="pooled" if rows[0].scene_id is None else "mean over scenes",
        n=len(found),
        n_failed=len(rows) - len(found),
        n_ties=round(tie_share(found) * pairs) if pairs else 0,
        n_distinct=len(np.unique(found)),
    )
    try:
        if rows[0].scene_id is None:
            return _pooled(empty, rows, labels(rows, num_ratings), seed)
        return _over_scenes(empty, rows, seed)
    except StatisticsError as error:
        return replace(empty, note=f"{error}.")


def with_ceiling(measurement: Measurement, found: NoiseCeiling | str) -> Measurement:
    """With the ceiling of its dataset, where there is one."""
    if isinstance(found, str):
        return measurement
    return replace(measurement, ceiling_srcc=found.srcc, ceiling_plcc=found.plcc)


def predictions(rows: Sequence[PredictionRow]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """[n] scores, NaN where there is none."""
    return np.array([np.nan if row.score is None else row.score for row in rows], dtype=np.float64)


def labels(rows: Sequence[PredictionRow], num_ratings: float | None = None) -> Labels:
    """Labels of the rows; versions of a reference are one content, an image without one is a content of its own."""
    return Labels(
        mos=np.array([np.nan if row.mos is None else row.mos for row in rows], dtype=np.float64),
        mos_std=np.array([np.nan if row.mos_std is None else row.mos_std for row in rows], dtype=np.float64),
        higher_is_better=rows[0].direction == "higher",
        num_ratings=np.full(len(rows), np.nan if num_ratings is None else num_ratings),
        contents=tuple(row.content for row in rows),
    )


def _pooled(empty: Measurement, rows: Sequence[PredictionRow], known: Labels, seed: int) -> Measurement:
    report = agreement(predictions(rows), known, seed=seed)
    num_contents = len({row.content for row in rows if row.score is not None})
    kind: Literal["images", "references"] = "references" if num_contents < report.n else "images"
    classified = report.pair_classification
    remarks = (
        "" if report.mapping.converged else "The logistic fit did not converge; RMSE and MAE are upper bounds.",
        scarcity(num_contents, kind),
    )
    return replace(
        empty,
        srcc=report.srcc,
        srcc_low=report.srcc_interval[0],
        srcc_high=report.srcc_interval[1],
        plcc=report.plcc,
        plcc_low=report.plcc_interval[0],
        plcc_high=report.plcc_interval[1],
        plcc_mapped=report.plcc_mapped,
        krcc=report.krcc,
        rmse=report.rmse,
        mae=report.mae,
        pair_accuracy=report.pair_accuracy.value,
        outlier_ratio=report.outlier_ratio,
        different_similar=None if classified is None else classified.different_similar,
        better_worse=None if classified is None else classified.better_worse,
        srcc_split_median=report.splits.srcc,
        plcc_split_median=report.splits.plcc,
        resampled=kind,
        num_resampled=num_contents,
        mapping=report.mapping.form,
        mapping_parameters=report.mapping.parameters,
        note=" ".join(filter(None, remarks)),
    )


def _over_scenes(empty: Measurement, rows: Sequence[PredictionRow], seed: int) -> Measurement:
    rank, linear = _groupwise(rows, "srcc", seed), _groupwise(rows, "plcc", seed)
    left_out = rank.num_constant + rank.num_too_small
    return replace(
        empty,
        n=rank.n,
        srcc=rank.mean,
        srcc_low=rank.mean_interval[0],
        srcc_high=rank.mean_interval[1],
        plcc=linear.mean,
        plcc_low=linear.mean_interval[0],
        plcc_high=linear.mean_interval[1],
        krcc=_groupwise(rows, "krcc", seed).mean,
        pair_accuracy=_groupwise(rows, "pair_accuracy", seed).mean,
        resampled="scenes",
        num_resampled=len(rank.per_group),
        num_scenes=len(rank.per_group),
        srcc_median=rank.median,
        note=(
            f"Labels are comparable inside each of {len(rank.per_group) + left_out} scenes only: a pooled correlation "
            f"would mix their scales and is not given; every number is the mean over {len(rank.per_group)} scenes, "
            f"{left_out} with constant or too few predictions left out. {scarcity(len(rank.per_group), 'scenes')}"
        ).rstrip(),
    )


def _groupwise(rows: Sequence[PredictionRow], statistic: Statistic, seed: int) -> GroupwiseReport:
    known = labels(rows)
    return groupwise(
        predictions(rows),
        known.mos,
        [row.scene_id or "" for row in rows],
        statistic=statistic,
        higher_is_better=known.higher_is_better,
        seed=seed,
    )
