"""Which differences between models on one dataset are real."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ray_iqa.errors import StatisticsError
from ray_iqa.evaluation_records import PredictionRow
from ray_iqa.results.measure import labels, predictions
from ray_iqa.statistics.bootstrap import paired_srcc_difference
from ray_iqa.statistics.groupwise import groupwise, paired_groupwise_difference
from ray_iqa.statistics.mapping import fit_mapping
from ray_iqa.statistics.significance import holm, pitman_morgan


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """SRCC of the first model minus SRCC of the second, on the images that both predicted.

    Tests are two-sided and paired; ``*_holm`` are corrected over all pairs of models on the dataset. Numbers without
    an answer are None, and ``note`` says why.
    """

    dataset: str
    first: str
    second: str
    n: int
    srcc_difference: float | None = None
    srcc_low: float | None = None  # paired bootstrap 95 %
    srcc_high: float | None = None
    p_value: float | None = None
    p_holm: float | None = None
    variance_ratio: float | None = None  # of the residuals after each model's mapping; below 1 the first is closer
    variance_p_value: float | None = None  # Pitman-Morgan
    variance_p_holm: float | None = None
    note: str = ""


def difference(first: Sequence[PredictionRow], second: Sequence[PredictionRow], seed: int) -> Difference:
    """Compare two models' predictions of the same images of one dataset, in the same order; not corrected yet."""
    both = [(a, b) for a, b in zip(first, second, strict=True) if a.score is not None and b.score is not None]
    empty = Difference(dataset=first[0].dataset, first=first[0].model, second=second[0].model, n=len(both))
    if len(both) < 3:
        return replace(empty, note="Fewer than three images that both predicted.")
    ours, theirs = [a for a, _ in both], [b for _, b in both]
    compare = _pooled if ours[0].group_id is None else _over_scenes
    try:
        return compare(empty, ours, theirs, seed)
    except StatisticsError as error:
        return replace(empty, note=f"{error}.")


def corrected(differences: Sequence[Difference]) -> list[Difference]:
    """With Holm's correction over the pairs of each dataset, which lie next to each other."""
    found: list[Difference] = []
    for _, group in groupby(differences, key=lambda item: item.dataset):
        own = list(group)
        ranks = iter(holm([item.p_value for item in own if item.p_value is not None]))
        variances = iter(holm([item.variance_p_value for item in own if item.variance_p_value is not None]))
        found += [
            replace(
                item,
                p_holm=None if item.p_value is None else next(ranks),
                variance_p_holm=None if item.variance_p_value is None else next(variances),
            )
            for item in own
        ]
    return found


def _pooled(
    empty: Difference, first: Sequence[PredictionRow], second: Sequence[PredictionRow], seed: int
) -> Difference:
    known = labels(first)
    mos = known.mos if known.higher_is_better else -known.mos
    a, b = predictions(first), predictions(second)
    rank = paired_srcc_difference(a, b, mos, clusters=known.clusters, seed=seed)
    found = replace(
        empty,
        srcc_difference=rank.difference,
        srcc_low=rank.interval[0],
        srcc_high=rank.interval[1],
        p_value=rank.p_value,
    )
    try:
        variance = pitman_morgan(*(mos - fit_mapping(scores, mos)(scores) for scores in (a, b)))
    except StatisticsError as error:
        return replace(found, note=f"No test of the residuals: {error}.")
    return replace(found, variance_ratio=variance.ratio, variance_p_value=variance.p_value)


def _over_scenes(
    empty: Difference, first: Sequence[PredictionRow], second: Sequence[PredictionRow], seed: int
) -> Difference:
    known = labels(first)
    scenes = [row.group_id or "" for row in first]
    reports = [
        groupwise(predictions(rows), known.mos, scenes, higher_is_better=known.higher_is_better)
        for rows in (first, second)
    ]
    rank = paired_groupwise_difference(*reports, seed=seed)
    return replace(
        empty,
        srcc_difference=rank.difference,
        srcc_low=rank.interval[0],
        srcc_high=rank.interval[1],
        p_value=rank.p_value,
        note="Mean over scenes, which are what the bootstrap draws.",
    )
