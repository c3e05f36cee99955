"""Predicted against MOS: one panel per model and dataset, with the fitted mapping and its band."""

import textwrap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ray_iqa.errors import StatisticsError
from ray_iqa.evaluation.records import PredictionRow
from ray_iqa.report.drawing import COLOURS, MAX_VECTOR_POINTS, Axes, panels
from ray_iqa.report.inputs import ReportInputs
from ray_iqa.report.section import Drawing, Section
from ray_iqa.statistics.correlation import plcc, srcc
from ray_iqa.statistics.groupwise import groupwise
from ray_iqa.statistics.mapping import fit_mapping
from ray_iqa.statistics.mapping_band import mapping_band

_LEAD = (
    "A point is an image. The line is the logistic mapping fitted to these very images, the band its 95 % interval "
    "over contents, where there are enough of them. SRCC and PLCC are of the raw scores, +1 is perfect for "
    "lower-is-better labels too."
)
_MISSING = "No predictions for labelled images: run ray-iqa eval, then give its output folder too."


def prediction_section(inputs: ReportInputs) -> Section:
    """One figure per dataset with labels, one panel per model."""
    drawings = []
    for number, dataset in enumerate(inputs.datasets):
        found = [(model, _labelled(inputs.rows_of(model, dataset))) for model in inputs.models]
        found = [(model, rows) for model, rows in found if len(rows) >= 2]
        if not found:
            continue
        figure, axes = panels(len(found))
        for place, (model, rows) in zip(axes, found, strict=True):
            _panel(place, rows)
            place.set(title=model, xlabel="predicted score", ylabel=f"MOS ({rows[0].direction} is better)")
        caption = f"{dataset}: predicted score against MOS."
        drawings.append(Drawing(name=f"predictions_{number}", caption=caption, figure=figure))
    missing = None if drawings else _MISSING
    return Section(
        name="predictions", title="Predicted against MOS", lead=_LEAD, drawings=tuple(drawings), missing=missing
    )


def _labelled(rows: Sequence[PredictionRow]) -> list[PredictionRow]:
    return [row for row in rows if row.score is not None and row.mos is not None]


def _panel(axes: Axes, rows: Sequence[PredictionRow]) -> None:
    scores = np.array([row.score for row in rows], dtype=np.float64)
    mos = np.array([row.mos for row in rows], dtype=np.float64)
    axes.scatter(scores, mos, s=5, alpha=0.45, linewidths=0, color=COLOURS[0], rasterized=len(rows) > MAX_VECTOR_POINTS)
    sign = 1.0 if rows[0].direction == "higher" else -1.0
    scenes = [row.scene_id for row in rows if row.scene_id is not None]
    if scenes:
        axes.text(0.03, 0.97, _per_scene(scores, sign * mos, scenes), transform=axes.transAxes, va="top", fontsize=7)
        return
    contents = [row.content for row in rows]
    try:
        _fit(axes, scores, mos, contents)
        figures = f"SRCC {srcc(scores, sign * mos):.3f}\nPLCC {plcc(scores, sign * mos):.3f}\nn {len(rows):,}"
    except StatisticsError as error:
        figures = textwrap.fill(f"no numbers: {error}", 40)
    if len(set(contents)) < len(contents):
        figures += f", {len(set(contents)):,} contents"
    left = sign > 0  # the corner that a good scorer leaves empty
    axes.text(
        0.03 if left else 0.97,
        0.97,
        figures,
        transform=axes.transAxes,
        va="top",
        ha="left" if left else "right",
        fontsize=7,
    )


def _per_scene(scores: NDArray[np.float64], labels: NDArray[np.float64], scenes: Sequence[str]) -> str:
    """Labels are comparable inside a scene only, so there is no pooled fit and no pooled correlation."""
    if len(scenes) != len(scores):
        return "only some images have a scene"
    try:
        report = groupwise(scores, labels, scenes)
    except StatisticsError:
        return "labels compare inside scenes only;\nno scene has a correlation"
    return f"labels compare inside scenes only\nmean SRCC {report.mean:.3f} of {len(report.per_group)} scenes"


def _fit(axes: Axes, scores: NDArray[np.float64], mos: NDArray[np.float64], contents: Sequence[str]) -> None:
    if np.ptp(scores) == 0:
        return
    mapping = fit_mapping(scores, mos)
    places = np.linspace(scores.min(), scores.max(), 100)
    low, high = mapping_band(scores, mos, mapping, places, contents=contents)
    axes.fill_between(places, low, high, color=COLOURS[1], alpha=0.25, linewidth=0)
    axes.plot(places, mapping(places), color=COLOURS[1])
