"""Scores over steps: a policy that collapses to one answer shows as one bright line."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ray_iqa.data.tables import read_columns
from ray_iqa.report.drawing import HEAT, Axes, panels
from ray_iqa.report.inputs import TrainingLog
from ray_iqa.report.section import Drawing, Section

_MAX_COLUMNS, _SCORE_BINS = 60, 32
_LEAD = (
    "Every parsed score of every rollout. A column is a few steps, brightness the share of their answers. "
    "One bright row over all steps is a policy that gives every image the same score."
)
_MISSING = "No rollouts in these folders: ray-iqa train writes rollouts/ into its run directory."
_SIZE = (5.2, 2.6)


def histogram_section(logs: tuple[TrainingLog, ...]) -> Section:
    """One heat map per job with rollouts.

    Raises:
        DataError: a file of rollouts is damaged.
    """
    read = [(log.name, *_scores(log.rollouts)) for log in logs if log.rollouts is not None]
    read = [(name, steps, scores) for name, steps, scores in read if np.isfinite(scores).any()]
    if not read:
        return Section(name="scores", title="Scores over steps", lead="", missing=_MISSING)
    figure, axes = panels(len(read), columns=1, size=_SIZE)
    for place, (name, steps, scores) in zip(axes, read, strict=True):
        _heat_map(figure, place, steps, scores)
        place.set_title(f"{name}: {len(scores):,} answers, {np.isnan(scores).mean():.1%} of them did not parse")
    axes[-1].set_xlabel("step")
    drawing = Drawing(name="score_histograms", caption="Histogram of scores over training steps.", figure=figure)
    return Section(name="scores", title="Scores over steps", lead=_LEAD, drawings=(drawing,))


def _scores(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Step and score of every rollout; NaN where it did not parse."""
    steps, scores = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for file in sorted(folder.glob("step-*.parquet")):
        table = read_columns(file, ["step", "score"])
        steps.append(table.column("step").to_numpy().astype(np.int64))
        scores.append(table.column("score").to_numpy().astype(np.float64))
    return np.concatenate(steps), np.concatenate(scores)


def _heat_map(figure: object, axes: Axes, steps: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
    parsed = np.isfinite(scores)
    first, last = int(steps.min()), int(steps.max())
    columns = np.linspace(first - 0.5, last + 0.5, min(_MAX_COLUMNS, last - first + 1) + 1)
    low, high = np.percentile(scores[parsed], [0.5, 99.5])  # published parsing takes numbers of any size
    rows = np.linspace(np.floor(low), max(np.ceil(high), np.floor(low) + 1), _SCORE_BINS + 1)
    counts, _, _ = np.histogram2d(steps[parsed], scores[parsed], bins=(columns, rows))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mesh = axes.pcolormesh(columns, rows, shares.T, cmap=HEAT, rasterized=True)
    axes.grid(visible=False)
    axes.set_ylabel("score")
    figure.colorbar(mesh, ax=axes, label="share of answers")  # type: ignore[attr-defined]  # a matplotlib figure
