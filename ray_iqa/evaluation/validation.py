"""How well a policy's scores order and track human labels, per dataset.

The prediction for an image is the mean of its parsed scores. An image without any is left out of the
correlations and counted; it is never given a number. Where labels are comparable inside a scene only,
a correlation is the mean over the scenes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ray_iqa.answers.prompt import Prompt
from ray_iqa.answers.verdict import readings
from ray_iqa.errors import StatisticsError
from ray_iqa.protocols import Sampler
from ray_iqa.rewards.labels import oriented_mos
from ray_iqa.statistics.correlation import plcc, srcc
from ray_iqa.statistics.groupwise import groupwise
from ray_iqa.statistics.intervals import correlation_interval
from ray_iqa.statistics.jackknife import scarcity
from ray_iqa.tables import formatted, text_table, with_interval
from ray_iqa.types import Answer, EvaluationReport, LabelledImage, RolloutGroup, SamplingSpec

ParserStyle = Literal["strict", "published"]
SCORE_SPAN = 4.0  # of the 1-5 scale
Cells = list[str]
TABLE_COLUMNS = ["images", "SRCC [95 %]", "PLCC [95 %]", "unparsed", "score / label std"]


class PolicyEvaluator:
    """`protocols.Evaluator` over the published policy; the same images and the same seed every time."""

    def __init__(
        self,
        sampler: Sampler,
        images: Sequence[LabelledImage],
        spec: SamplingSpec,
        prompt: Prompt,
        style: ParserStyle = "strict",
    ) -> None:
        self._sampler, self._images, self._spec = sampler, images, spec
        self._prompt, self._style = prompt, style

    def evaluate(self) -> dict[str, float]:
        """``eval/<dataset>/<field>`` and ``eval/srcc``, the mean over datasets: NaN as soon as one of them is."""
        groups = self._sampler.sample(self._images, self._spec)
        reports = evaluate_groups(groups, self._prompt, self._style)
        fields = ("srcc", "plcc", "parse_failure_rate", "num_failed", "score_std", "mos_std")
        row = {
            f"eval/{report.dataset}/{field}": float(getattr(report, field)) for report in reports for field in fields
        }
        return row | {"eval/srcc": float(np.mean([report.srcc for report in reports]))}


def evaluate_groups(
    groups: Sequence[RolloutGroup], prompt: Prompt, style: ParserStyle = "strict"
) -> list[EvaluationReport]:
    """One report per dataset in ``groups``, by name.

    ``score_std`` and ``mos_std`` are unbiased, over the images that were predicted; labels are mapped
    to 1-5 by the extremes of all the dataset's images in ``groups``.
    """
    datasets = sorted({group.image.dataset for group in groups})
    return [_report([group for group in groups if group.image.dataset == name], prompt, style) for name in datasets]


def evaluate_scores(images: Sequence[LabelledImage], scores: Sequence[float | None]) -> list[EvaluationReport]:
    """As `evaluate_groups`, for a scorer that gives each image one score, or None where it failed."""
    reports = []
    for name in sorted({image.dataset for image in images}):
        own = [(image, score) for image, score in zip(images, scores, strict=True) if image.dataset == name]
        found = [[] if score is None else [score] for _, score in own]
        reports.append(_report_of([image for image, _ in own], found, len(own)))
    return reports


def select_images(images: Sequence[LabelledImage], max_images: int | None) -> list[LabelledImage]:
    """At most ``max_images`` of each dataset: the first by hash of the image id, so the choice is spread and stable.

    Neither the order nor the number of the other images changes which of two is preferred.
    """
    by_hash = sorted(images, key=lambda image: (image.dataset, hashlib.sha256(image.image_id.encode()).digest()))
    num_taken: dict[str, int] = {}
    selected = []
    for image in by_hash:
        taken = num_taken.get(image.dataset, 0)
        if max_images is None or taken < max_images:
            selected.append(image)
            num_taken[image.dataset] = taken + 1
    return selected


def format_reports(reports: Sequence[EvaluationReport]) -> str:
    """One row per dataset: images predicted of all, correlations with 95 % intervals, share of unparsed completions."""
    return _with_remarks(text_table(["dataset", *TABLE_COLUMNS], [_row(report) for report in reports]), reports)


def format_before_after(before: Sequence[EvaluationReport], after: Sequence[EvaluationReport]) -> str:
    """Two rows per dataset that both hold."""
    return format_side_by_side({"before": before, "after": after})


def format_side_by_side(reports_of: Mapping[str, Sequence[EvaluationReport]]) -> str:
    """For every dataset of the first entry, one row per entry that holds it; the keys are titles."""
    rows = []
    for report in next(iter(reports_of.values())):
        found = {
            title: other
            for title, reports in reports_of.items()
            for other in reports
            if other.dataset == report.dataset
        }
        if len(found) == len(reports_of):
            rows += [
                [report.dataset if place == 0 else "", title, *_row(other)[1:]]
                for place, (title, other) in enumerate(found.items())
            ]
    return _with_remarks(text_table(["dataset", "", *TABLE_COLUMNS], rows), next(iter(reports_of.values())))


def _with_remarks(table: str, reports: Sequence[EvaluationReport]) -> str:
    counts = ", ".join(f"{report.num_contents} of {report.dataset}" for report in reports)
    remarks = [f"{report.dataset}: {scarcity(report.num_contents, 'contents')}" for report in reports]
    return "\n".join([table, f"Intervals over contents: {counts}.", *(line for line in remarks if line[-1] == ".")])


def _report(groups: Sequence[RolloutGroup], prompt: Prompt, style: ParserStyle) -> EvaluationReport:
    answers = [readings(group, prompt, style) for group in groups]
    scores = [[answer.score for answer in row if isinstance(answer, Answer)] for row in answers]
    return _report_of([group.image for group in groups], scores, sum(map(len, answers)))


def _report_of(images: Sequence[LabelledImage], scores: Sequence[Sequence[float]], num_asked: int) -> EvaluationReport:
    """Of one dataset: the scores that each image got, out of ``num_asked`` over all images."""
    labels = oriented_mos(images)
    kept = np.array([bool(row) for row in scores])
    predicted = np.array([np.mean(row) for row in scores if row], dtype=np.float64)
    known = labels[kept]
    enough = len(predicted) >= 2
    scenes = [image.group_id for image, row in zip(images, scores, strict=True) if row and image.group_id is not None]
    contents = [image.content or image.image_id for image, row in zip(images, scores, strict=True) if row]
    num_contents = len(set(scenes or contents))
    rank, rank_interval = _correlation(predicted, known, scenes, contents, "srcc")
    linear, linear_interval = _correlation(predicted, known, scenes, contents, "plcc")
    return EvaluationReport(
        dataset=images[0].dataset,
        num_images=len(images),
        num_failed=int((~kept).sum()),
        num_contents=num_contents,
        srcc=rank,
        srcc_interval=rank_interval,
        plcc=linear,
        plcc_interval=linear_interval,
        parse_failure_rate=1 - sum(map(len, scores)) / num_asked if num_asked else np.nan,
        score_std=float(np.std(predicted, ddof=1)) if enough else np.nan,
        mos_std=float(np.std(_on_span(labels)[kept], ddof=1)) if enough else np.nan,
    )


def _correlation(
    predicted: NDArray[np.float64],
    labels: NDArray[np.float64],
    scenes: Sequence[str],
    contents: Sequence[str],
    kind: Literal["srcc", "plcc"],
) -> tuple[float, tuple[float, float]]:
    """Value and interval, over contents or scenes; NaN where there is none."""
    nowhere = np.nan, (np.nan, np.nan)
    if len(predicted) < 2:
        return nowhere
    try:
        if not scenes:
            value = srcc(predicted, labels) if kind == "srcc" else plcc(predicted, labels)
            return value, correlation_interval(predicted, labels, kind, contents=contents)
        report = groupwise(predicted, labels, scenes, statistic=kind)
    except StatisticsError:  # no scene has two different labels and predictions, or all differ by rounding only
        return nowhere
    return report.mean, report.mean_interval


def _on_span(labels: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = labels.min(), labels.max()
    return SCORE_SPAN * (labels - low) / (high - low) if low < high else np.zeros_like(labels)


def _row(report: EvaluationReport) -> Cells:
    return [
        report.dataset,
        f"{report.num_images - report.num_failed} of {report.num_images}",
        with_interval(report.srcc, *report.srcc_interval, "+.3f"),
        with_interval(report.plcc, *report.plcc_interval, "+.3f"),
        f"{100 * report.parse_failure_rate:.1f} %",
        f"{formatted(report.score_std, '.2f')} / {formatted(report.mos_std, '.2f')}",
    ]
