"""Training curves of every job, one panel per number."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_iqa.report.drawing import MAX_VECTOR_POINTS, Axes, legend_below, look, panels
from ray_iqa.report.inputs import TrainingLog
from ray_iqa.report.section import Drawing, Section

CURVES = (
    ("reward", "reward/mean"),
    ("fidelity reward", "reward/fidelity"),
    ("format reward", "reward/format"),
    ("share of answers that parse", "reward/parse_rate"),
    ("score spread inside a group", "group/score_std"),
    ("score spread between images", "score/std_between_images"),
    ("groups without advantage, share", "group/zero_advantage_fraction"),
    ("entropy, nats per token", "policy/entropy"),
    ("KL to the reference policy", "policy/kl"),
    ("gradient norm", "policy/grad_norm"),
    ("clipped tokens (upper), share", "policy/clip_fraction_high"),
    ("mean completion length, tokens", "completion/length_mean"),
    ("truncated completions, share", "completion/truncated_fraction"),
    ("staleness, policy versions", "policy/staleness"),
    ("seconds per step", "time/step"),
    ("tokens per second", "throughput/tokens_per_s"),
    ("alignment loss (light scorer)", "alignment/loss"),
    ("probe SRCC of the tower (light scorer)", "alignment/probe_srcc"),
)
"""Title of a panel -> its metric; a panel whose metric no job has is left out."""
_PANELS = 12  # of a figure, which then fits on a printed page
_WINDOW = 0.05  # of the curve, for the running mean
_LEAD = (
    "Thin: every step. Thick: running mean over a twentieth of the run. "
    "Validation is on the images named by the run's own configuration."
)
_MISSING = "No training log in these folders: run ray-iqa train --config FILE, then give its run directory."


def training_section(logs: tuple[TrainingLog, ...]) -> Section:
    """Curves of all jobs over each other, validation per dataset first."""
    known = {name for log in logs for row in log.rows for name, value in row.items() if value is not None}
    validation = sorted(
        name for name in known if name.startswith("eval/") and name.endswith("/srcc") and name != "eval/srcc"
    )
    plots = [(f"validation SRCC, {name.removeprefix('eval/').removesuffix('/srcc')}", name) for name in validation]
    plots += [("validation SRCC, mean over datasets", "eval/srcc")] if "eval/srcc" in known and len(plots) > 1 else []
    plots += [(title, name) for title, name in CURVES if name in known]
    if not plots:
        return Section(name="training", title="Training", lead="", missing=_MISSING)
    pages = [plots[start : start + _PANELS] for start in range(0, len(plots), _PANELS)]
    drawings = tuple(_drawing(number, page, logs) for number, page in enumerate(pages))
    return Section(name="training", title="Training", lead=_LEAD, drawings=drawings)


def _drawing(number: int, plots: Sequence[tuple[str, str]], logs: Sequence[TrainingLog]) -> Drawing:
    figure, axes = panels(len(plots))
    for place, (title, name) in zip(axes, plots, strict=True):
        place.set_title(title)
        for order, log in enumerate(logs):
            _curve(place, log, name, look(order))
    for place in axes[-3:]:
        place.set_xlabel("step")
    legend_below(figure, axes)
    caption = f"Training curves of {', '.join(log.name for log in logs)}: {plots[0][0]} to {plots[-1][0]}."
    return Drawing(name=f"training_{number}", caption=caption, figure=figure)


def _curve(axes: Axes, log: TrainingLog, name: str, style: dict[str, Any]) -> None:
    found = [(row["step"], row[name]) for row in log.rows if row.get(name) is not None]
    if not found:
        return
    steps, values = np.array(found, dtype=np.float64).T
    width = max(1, round(_WINDOW * len(values)))
    if width > 1:
        many = len(values) > MAX_VECTOR_POINTS
        axes.plot(steps, values, color=style["color"], linewidth=0.4, alpha=0.4, rasterized=many)
        style = style | {"marker": None, "rasterized": many}
    axes.plot(steps, _running_mean(values, width), label=log.name, markersize=3, **style)


def _running_mean(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Mean over the last ``width`` values, fewer at the start; nothing of a later step enters an earlier one."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return (total[ends] - total[starts]) / (ends - starts)
