"""The tables of the evaluation, with intervals and paired tests."""

from collections.abc import Sequence

from ray_iqa.evaluation.differences import Difference
from ray_iqa.evaluation.measure import Measurement
from ray_iqa.evaluation.tables import differences_table, results_table
from ray_iqa.report.section import Section

_TITLE = "Agreement with labels"
_LEAD = (
    "Intervals are 95 %, over contents. The mapping before mapped PLCC and RMSE is fitted to the images it is judged "
    "on, as is the custom. Failed images are left out of the correlations and counted."
)
_MISSING = "No results in these folders: run ray-iqa eval, then give its output folder too."


def result_section(measurements: Sequence[Measurement], differences: Sequence[Difference]) -> Section:
    """Every model on every dataset, and which differences between models are real."""
    if not measurements:
        return Section(name="results", title=_TITLE, lead="", missing=_MISSING)
    tables = [results_table(measurements, (), whole=False)]
    tables += [differences_table(differences)] if differences else []
    return Section(name="results", title=_TITLE, lead=_LEAD, tables=tuple(tables))
