"""What a score costs against how good it is."""

from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from ray_iqa.evaluation.measure import Measurement
from ray_iqa.report.drawing import legend_below, look, panels
from ray_iqa.report.inputs import ReportInputs
from ray_iqa.report.section import Drawing, Section
from ray_iqa.tables import Table

_TITLE = "Cost against accuracy"
_LEAD = (
    "SRCC with its 95 % interval against seconds per image as measured where the predictions were made; "
    "compare models of one evaluation on one machine only."
)
_ASIDE = 1.06
_ROW = 0.055  # height of a name, of the axes' own
_MISSING = "No seconds per image beside results in these folders: run ray-iqa eval, then give its output folder too."


def cost_section(inputs: ReportInputs) -> Section:
    """One mark per model and dataset."""
    seconds = _seconds_per_image(inputs)
    measured = [item for item in inputs.measurements if item.model in seconds and item.srcc is not None]
    if not measured:
        return Section(name="cost", title=_TITLE, lead="", missing=_MISSING)
    datasets = list(dict.fromkeys(item.dataset for item in measured))
    figure, (axes,) = panels(1, size=(4.4, 3.0 + 0.12 * len(seconds)))
    for number, dataset in enumerate(datasets):
        own = [item for item in measured if item.dataset == dataset]
        aside = _ASIDE ** (number - (len(datasets) - 1) / 2)  # bars of one model stand next to each other
        places = [1000 * seconds[item.model] * aside for item in own]
        style = look(number) | {"linestyle": "none"}
        axes.errorbar(places, [item.srcc for item in own], yerr=_bars(own), label=dataset, capsize=2, **style)
    for row, (model, spent) in enumerate(sorted(seconds.items(), key=itemgetter(1), reverse=True)):
        place = (1000 * spent, 1.02 + _ROW * row)  # a row each, so that names of equal cost do not overlap
        axes.annotate(model, place, xycoords=("data", "axes fraction"), ha="center", fontsize=7)
    axes.set(xscale="log", xlabel="milliseconds per image", ylabel="SRCC")
    axes.xaxis.set_major_formatter("{x:g}")  # matplotlib's own writes powers as mathematics, which the style forbids
    axes.xaxis.set_minor_formatter("")
    axes.margins(x=0.25)
    legend_below(figure, [axes])
    table = Table(
        title="Cost and accuracy",
        header=("model", "ms per image", "images per second", *(f"SRCC {name}" for name in datasets)),
        rows=tuple(_row(model, spent, measured, datasets) for model, spent in seconds.items()),
    )
    drawing = Drawing(name="cost", caption="SRCC against milliseconds per image, logarithmic.", figure=figure)
    return Section(name="cost", title=_TITLE, lead=_LEAD, drawings=(drawing,), tables=(table,))


def _seconds_per_image(inputs: ReportInputs) -> dict[str, float]:
    """Mean over the images of each model that were timed."""
    spent: dict[str, list[float]] = {}
    for row in inputs.predictions:
        if row.seconds is not None:
            spent.setdefault(row.model, []).append(row.seconds)
    return {model: float(np.mean(seconds)) for model, seconds in spent.items() if sum(seconds) > 0}


def _bars(measured: Sequence[Measurement]) -> list[list[float]]:
    """Distances of the interval's ends; none where there is no interval."""
    ends = [(item.srcc, item.srcc_low, item.srcc_high) for item in measured]
    low = [0.0 if value is None or end is None else value - end for value, end, _ in ends]
    high = [0.0 if value is None or end is None else end - value for value, _, end in ends]
    return [np.abs(low).tolist(), np.abs(high).tolist()]


def _row(model: str, seconds: float, measured: Sequence[Measurement], datasets: Sequence[str]) -> tuple[str, ...]:
    found = {item.dataset: item.srcc for item in measured if item.model == model}
    figures = (f"{found[dataset]:.3f}" if found.get(dataset) is not None else "-" for dataset in datasets)
    return model, f"{1000 * seconds:.3g}", f"{1 / seconds:,.0f}", *figures
