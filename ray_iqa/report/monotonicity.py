"""Does the score fall as a distortion gets stronger: the L-test of Waterloo Exploration, on whatever has levels.

Where contents were shown at several levels, levels are compared within a content; otherwise all images of a
distortion are compared, which also asks a scorer not to mind the content.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_iqa.evaluation.records import PredictionRow
from ray_iqa.report.drawing import Axes, Figure, legend_below, look, panels
from ray_iqa.report.inputs import ReportInputs
from ray_iqa.report.section import Drawing, Section
from ray_iqa.statistics.means import mean_interval
from ray_iqa.tables import Table, formatted

_LEAD = (
    "Mean score at each level of a distortion; level 0 are undistorted images of the same dataset. Bars are 95 % "
    "intervals over contents, where there are enough of them. Pairs are two images of one distortion at different "
    "levels, of one content where contents were shown at several levels; ordered right is the higher score at the "
    "weaker level. People do not always agree with the levels either: the share of the labels themselves stands beside "
    "the scorer's, and is what a scorer should come near."
)
_MISSING = (
    "No predictions with distortion and level: run ray-iqa eval on a manifest that has these columns, "
    "such as those of ray-iqa data synth or KADID-10k."
)
_PANELS = 20  # of a figure, which then fits on a printed page
_HEADER = (
    "dataset",
    "distortion",
    "model",
    "levels",
    "steps that fall",
    "pairs ordered right",
    "by the labels",
    "pairs",
    "content",
    "contents",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCurve:
    """One model on one distortion of one dataset."""

    levels: tuple[int, ...]
    means: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    num_falling: int  # steps from a level to the next
    pairs_ordered: float  # share of pairs whose weaker distortion has the higher score; a tie counts half
    labels_ordered: float | None  # the same share for labels in place of scores; None where an image has none
    num_pairs: int
    num_contents: int
    within_content: bool  # whether the two images of a pair show the same


Curves = dict[tuple[str, str], LevelCurve]  # of one dataset, by distortion and model


def monotonicity_section(inputs: ReportInputs) -> Section:
    """A figure per dataset with one panel per distortion, and the counts of all."""
    drawings, rows = [], []
    for number, dataset in enumerate(inputs.datasets):
        curves = _curves(inputs, dataset)
        if not curves:
            continue
        drawings += _drawings(f"monotonicity_{number}", dataset, curves, inputs.models)
        rows += [_row(dataset, distortion, model, curve) for (distortion, model), curve in curves.items()]
    if not rows:
        return Section(name="monotonicity", title="Monotonicity", lead="", missing=_MISSING)
    table = Table(title="Order of distortion levels", header=_HEADER, rows=tuple(rows), num_labels=3)
    return Section(name="monotonicity", title="Monotonicity", lead=_LEAD, drawings=tuple(drawings), tables=(table,))


def level_curve(rows: Sequence[PredictionRow]) -> LevelCurve | None:
    """The curve of the images of one distortion and of level 0; None with fewer than two levels that were scored."""
    scored = [row for row in rows if row.level is not None and row.score is not None]
    levels = sorted({row.level for row in scored if row.level is not None})
    if len(levels) < 2:
        return None
    at = [[row for row in scored if row.level == level] for level in levels]
    scores = [[row.score for row in own if row.score is not None] for own in at]
    means = [float(np.mean(own)) for own in scores]
    right, num_pairs, within_content = _pairs(scored, [row.score for row in scored])
    labels = [row.oriented_mos for row in scored if row.scene_id is None]  # scenes have scales of their own
    known = len(labels) == len(scored) and None not in labels
    return LevelCurve(
        levels=tuple(levels),
        means=tuple(means),
        intervals=tuple(
            mean_interval(own, contents=[row.content for row in same]) for own, same in zip(scores, at, strict=True)
        ),
        num_falling=sum(after < before for before, after in pairwise(means)),
        pairs_ordered=right / num_pairs,
        labels_ordered=_pairs(scored, labels)[0] / num_pairs if known else None,
        num_pairs=num_pairs,
        num_contents=len({row.content for row in scored}),
        within_content=within_content,
    )


def _pairs(rows: Sequence[PredictionRow], values: Sequence[float | None]) -> tuple[float, int, bool]:
    """(pairs ordered right, all pairs, whether both show one content) of values at the levels of ``rows``."""
    by_level: dict[int, list[float]] = defaultdict(list)
    by_content: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row, value in zip(rows, values, strict=True):
        assert row.level is not None
        assert value is not None
        by_level[row.level].append(value)
        if row.ref_id is not None:
            by_content[row.ref_id][row.level].append(value)
    within = [_ordered(own) for own in by_content.values()]
    num_pairs = sum(found[1] for found in within)
    if num_pairs:
        return sum(found[0] for found in within), num_pairs, True
    return *_ordered(by_level), False


def _ordered(by_level: dict[int, list[float]]) -> tuple[float, int]:
    """(pairs ordered right, all pairs) of images at different levels."""
    right, num_pairs = 0.0, 0
    levels = sorted(by_level)
    for place, weak in enumerate(levels):
        for strong in levels[place + 1 :]:
            gaps: NDArray[np.float64] = np.subtract.outer(by_level[weak], by_level[strong])
            right += float((1 + np.sign(gaps)).sum()) / 2
            num_pairs += gaps.size
    return right, num_pairs


def _curves(inputs: ReportInputs, dataset: str) -> Curves:
    """Undistorted images begin the curve of every distortion."""
    curves = {}
    for model in inputs.models:
        rows = inputs.rows_of(model, dataset)
        pristine = [row for row in rows if row.level == 0]
        for distortion in sorted({row.distortion for row in rows if row.distortion and row.level}):
            curve = level_curve([*pristine, *(row for row in rows if row.distortion == distortion and row.level)])
            if curve is not None:
                curves[distortion, model] = curve
    return dict(sorted(curves.items(), key=lambda item: (item[0][0], inputs.models.index(item[0][1]))))


def _drawings(name: str, dataset: str, curves: Curves, models: Sequence[str]) -> list[Drawing]:
    distortions = list(dict.fromkeys(distortion for distortion, _ in curves))
    pages = [distortions[start : start + _PANELS] for start in range(0, len(distortions), _PANELS)]
    caption = f"{dataset}: mean score at each level of {{}}."
    return [
        Drawing(name=f"{name}_{number}", caption=caption.format(", ".join(page)), figure=_figure(page, curves, models))
        for number, page in enumerate(pages)
    ]


def _figure(distortions: Sequence[str], curves: Curves, models: Sequence[str]) -> Figure:
    figure, axes = panels(len(distortions), columns=4, size=(2.1, 1.9))
    for place, distortion in zip(axes, distortions, strict=True):
        place.set(title=distortion, xlabel="level")
        for number, model in enumerate(models):
            if (distortion, model) in curves:
                _curve(place, curves[distortion, model], model, look(number))
    axes[0].set_ylabel("mean score")
    legend_below(figure, axes)
    return figure


def _curve(axes: Axes, curve: LevelCurve, model: str, style: dict[str, Any]) -> None:
    bars = np.abs(np.array(curve.intervals).T - np.array(curve.means))
    axes.errorbar(curve.levels, curve.means, yerr=bars, label=model, markersize=3, capsize=1.5, **style)


def _row(dataset: str, distortion: str, model: str, curve: LevelCurve) -> tuple[str, ...]:
    return (
        dataset,
        distortion,
        model,
        f"{curve.levels[0]} to {curve.levels[-1]}",
        f"{curve.num_falling} of {len(curve.levels) - 1}",
        f"{curve.pairs_ordered:.1%}",
        formatted(curve.labels_ordered, ".1%"),
        f"{curve.num_pairs:,}",
        "same" if curve.within_content else "mixed",
        f"{curve.num_contents:,}",
    )
