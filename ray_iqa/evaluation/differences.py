"""Which differences between models on one dataset are real."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ray_iqa.errors import StatisticsError
from ray_iqa.evaluation.measure import labels, predictions
from ray_iqa.evaluation.records import PredictionRow
from ray_iqa.statistics.groupwise import groupwise, paired_groupwise_difference
from ray_iqa.statistics.intervals import PairedDifference, paired_srcc_difference
from ray_iqa.statistics.jackknife import scarcity
from ray_iqa.statistics.mapping import fit_mapping
from ray_iqa.statistics.significance import compare_variances, holm


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """SRCC of the first model minus SRCC of the second, on the images that both predicted.

    Tests are two-sided and paired, over contents; ``*_holm`` are corrected over all pairs of models on all datasets.
    Numbers without an answer are None, and ``note`` says why.
    """

    dataset: str
    first: str
    second: str
    n: int
    srcc_difference: float | None = None
    num_contents: int | None = None  # references, scenes, or images of their own
    srcc_low: float | None = None  # 95 %
    srcc_high: float | None = None
    p_value: float | None = None  # of a difference that is in truth minus the tolerance
    p_holm: float | None = None
    variance_ratio: float | None = None  # of the residuals after each model's mapping; below 1 the first is closer
    variance_p_value: float | None = None
    variance_p_holm: float | None = None
    note: str = ""


def difference(
    first: Sequence[PredictionRow], second: Sequence[PredictionRow], seed: int, tolerance: float = 0.0
) -> Difference:
    """Compare two models' predictions of the same images of one dataset, in the same order; not corrected yet.

    Args:
        first: rows of one model.
        second: rows of another.
        seed: of intervals.
        tolerance: SRCC that the first may lose; the p-value is about a loss of just that.
    """
    both = [(a, b) for a, b in zip(first, second, strict=True) if a.score is not None and b.score is not None]
    empty = Difference(dataset=first[0].dataset, first=first[0].model, second=second[0].model, n=len(both))
    if len(both) < 3:
        return replace(empty, note="Fewer than three images that both predicted.")
    ours, theirs = [a for a, _ in both], [b for _, b in both]
    compare = _pooled if ours[0].scene_id is None else _over_scenes
    try:
        return compare(empty, ours, theirs, seed, -tolerance)
    except StatisticsError as error:
        return replace(empty, note=f"{error}.")


def corrected(differences: Sequence[Difference]) -> list[Difference]:
    """With Holm's correction over all of them, for SRCC and for residuals."""
    ranks = iter(holm([item.p_value for item in differences if item.p_value is not None]))
    variances = iter(holm([item.variance_p_value for item in differences if item.variance_p_value is not None]))
    return [
        replace(
            item,
            p_holm=None if item.p_value is None else next(ranks),
            variance_p_holm=None if item.variance_p_value is None else next(variances),
        )
        for item in differences
    ]


def _pooled(
    empty: Difference, first: Sequence[PredictionRow], second: Sequence[PredictionRow], seed: int, null: float
) -> Difference:
    known = labels(first)
    mos = known.mos if known.higher_is_better else -known.mos
    a, b = predictions(first), predictions(second)
    rank = paired_srcc_difference(a, b, mos, contents=known.contents, seed=seed, null=null)
    num_contents = len(set(known.contents or ()))
    kind = "references" if num_contents < len(mos) else "images"
    found = _ranked(empty, rank, num_contents, scarcity(num_contents, kind))
    try:
        residuals = [mos - fit_mapping(scores, mos)(scores) for scores in (a, b)]
        variance = compare_variances(*residuals, contents=known.contents, seed=seed)
    except StatisticsError as error:
        return replace(found, note=f"{found.note} No test of the residuals: {error}.".lstrip())
    return replace(found, variance_ratio=variance.ratio, variance_p_value=_or_none(variance.p_value))


def _over_scenes(
    empty: Difference, first: Sequence[PredictionRow], second: Sequence[PredictionRow], seed: int, null: float
) -> Difference:
    known = labels(first)
    scenes = [row.scene_id or "" for row in first]
    reports = [
        groupwise(predictions(rows), known.mos, scenes, higher_is_better=known.higher_is_better)
        for rows in (first, second)
    ]
    rank = paired_groupwise_difference(*reports, seed=seed, null=null)
    num_scenes = len(reports[0].per_group.keys() & reports[1].per_group.keys())
    return _ranked(empty, rank, num_scenes, f"Mean over scenes. {scarcity(num_scenes, 'scenes')}".rstrip())


def _ranked(empty: Difference, found: PairedDifference, num_contents: int, note: str) -> Difference:
    return replace(
        empty,
        srcc_difference=found.difference,
        srcc_low=_or_none(found.interval[0]),
        srcc_high=_or_none(found.interval[1]),
        p_value=_or_none(found.p_value),
        num_contents=num_contents,
        note=note,
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
