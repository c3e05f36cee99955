"""How well a policy's scores order and track human labels, per dataset.

The prediction for an image is the mean of its parsed scores. An image without any is left out of the
correlations and counted; it is never given a number. Where labels are comparable inside a scene only,
a correlation is the mean over the scenes.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from ray_iqa.answers.parse import ParserStyle
from ray_iqa.answers.prompt import Prompt
from ray_iqa.answers.verdict import Verdict, verdict_of_group
from ray_iqa.data.label_maps import on_scale
from ray_iqa.evaluation.measure import measure, predictions
from ray_iqa.evaluation.records import PredictionRow
from ray_iqa.protocols import Sampler
from ray_iqa.statistics.jackknife import scarcity
from ray_iqa.tables import formatted, text_table, with_interval
from ray_iqa.types import EvaluationReport, LabelledImage, RolloutGroup, SamplingSpec

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
    """As `evaluate_verdicts`, of the answers in ``groups``."""
    verdicts = [verdict_of_group(group, prompt, style) for group in groups]
    return evaluate_verdicts([group.image for group in groups], verdicts)


def evaluate_verdicts(images: Sequence[LabelledImage], verdicts: Sequence[Verdict]) -> list[EvaluationReport]:
    """One report per dataset in ``images``, by name, measured as `ray-iqa eval` measures.

    ``score_std`` and ``mos_std`` are unbiased, over the images that were predicted; labels are mapped
    to 1-5 by the extremes of all the dataset's images in ``images``.
    """
    judged_of: dict[str, list[tuple[LabelledImage, Verdict]]] = {}
    for image, verdict in zip(images, verdicts, strict=True):
        judged_of.setdefault(image.dataset, []).append((image, verdict))
    return [_report(judged) for _, judged in sorted(judged_of.items())]


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


def _report(judged: Sequence[tuple[LabelledImage, Verdict]]) -> EvaluationReport:
    """Of one dataset."""
    rows = [_prediction_row(image, verdict) for image, verdict in judged]
    found = measure(rows, decoding="as validated", seed=0)
    kept = [row for row in rows if row.score is not None]
    labels = np.array([image.mos for image, _ in judged])
    low, high = labels.min(), labels.max()
    mapped = on_scale(labels, low, high, higher_is_better=True) if low < high else np.zeros_like(labels)
    num_answers = sum(verdict.num_answers for _, verdict in judged)
    unreadable = [verdict.num_unreadable for _, verdict in judged]
    num_unread = sum(row.score is None if count is None else count for row, count in zip(rows, unreadable, strict=True))
    enough = len(kept) >= 2
    return EvaluationReport(
        dataset=found.dataset,
        num_images=len(rows),
        num_failed=found.n_failed,
        num_contents=len({row.scene_id or row.content for row in kept}),
        srcc=_or_nan(found.srcc),
        srcc_interval=(_or_nan(found.srcc_low), _or_nan(found.srcc_high)),
        plcc=_or_nan(found.plcc),
        plcc_interval=(_or_nan(found.plcc_low), _or_nan(found.plcc_high)),
        parse_failure_rate=num_unread / num_answers if num_answers else np.nan,
        score_std=float(np.std(predictions(kept), ddof=1)) if enough else np.nan,
        mos_std=float(np.std(mapped[[row.score is not None for row in rows]], ddof=1)) if enough else np.nan,
    )


def _prediction_row(image: LabelledImage, verdict: Verdict) -> PredictionRow:
    return PredictionRow(
        model="validated",
        dataset=image.dataset,
        image_id=image.image_id,
        image_path=image.image_path,
        scene_id=image.scene_id,
        ref_id=image.content,
        mos=image.mos,
        mos_std=image.mos_std,
        direction="higher" if image.higher_is_better else "lower",
        mos_low=np.nan,
        mos_high=np.nan,
        score=verdict.value,
        status=verdict.status,
    )


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _row(report: EvaluationReport) -> Cells:
    return [
        report.dataset,
        f"{report.num_images - report.num_failed} of {report.num_images}",
        with_interval(report.srcc, *report.srcc_interval, "+.3f"),
        with_interval(report.plcc, *report.plcc_interval, "+.3f"),
        f"{100 * report.parse_failure_rate:.1f} %",
        f"{formatted(report.score_std, '.2f')} / {formatted(report.mos_std, '.2f')}",
    ]
