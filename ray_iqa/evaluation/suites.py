"""The tables of two papers with what was measured here beside them."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from ray_iqa.config.jobs.evaluate import SuiteName
from ray_iqa.config.load import read_tree
from ray_iqa.config.section import Section
from ray_iqa.evaluation.measure import Measurement
from ray_iqa.tables import Table

Metric = Literal["srcc", "plcc"]
METRICS: tuple[Metric, ...] = ("srcc", "plcc")
_FOLDER = Path(__file__).parent / "published"


class Column(Section):
    """A dataset of a table."""

    dataset: str
    title: str
    images: PositiveInt | None
    """That the paper tests on, where it is known."""


class PublishedTable(Section):
    """One table: methods and their numbers, in the order of the columns."""

    title: str
    compared_with: str
    """The method that differences are taken to."""
    mapped: list[str] = Field(default_factory=list)
    """Methods whose PLCC was taken after a four-parameter logistic; of the others raw, or not said."""
    columns: list[Column]
    srcc: dict[str, list[float]]
    plcc: dict[str, list[float]]

    def methods(self, metric: Metric) -> dict[str, list[float]]:
        """Numbers by method."""
        return self.srcc if metric == "srcc" else self.plcc


class Suite(Section):
    """What a paper printed."""

    source: str
    notes: list[str]
    tables: list[PublishedTable]


def read_suite(name: SuiteName) -> Suite:
    """The numbers of a paper."""
    return Suite.model_validate(read_tree(_FOLDER / f"{name}.yaml"))


def lay_out(suite: Suite, measurements: Sequence[Measurement], *, all_methods: bool) -> list[Table]:
    """Every table of a suite, for SRCC and for PLCC: a row per dataset, published and measured columns, differences.

    Args:
        suite: what was printed.
        measurements: of any models and datasets; those of other datasets are left out.
        all_methods: show every published method, or only the one that differences are taken to.
    """
    return [
        _table(suite, table, metric, measurements, all_methods=all_methods)
        for table in suite.tables
        for metric in METRICS
    ]


def _table(
    suite: Suite, table: PublishedTable, metric: Metric, measurements: Sequence[Measurement], *, all_methods: bool
) -> Table:
    published = table.methods(metric)
    shown = [*published] if all_methods else [table.compared_with]
    found = {(item.model, item.dataset): item for item in measurements}
    models = list(dict.fromkeys(model for model, _ in found))
    kinds = {"measured": metric} if metric == "srcc" else {"measured": metric, "measured, mapped": "plcc_mapped"}
    like = -1 if table.compared_with in table.mapped else 0  # the kind that differences are taken of
    measured = {
        (model, kind): [_value(found.get((model, column.dataset)), field) for column in table.columns]
        for model in models
        for kind, field in kinds.items()
    }

    def cells(pick: Callable[[Sequence[float | None]], float | None]) -> list[str]:
        reference = pick(published[table.compared_with])
        texts = [_cell(pick(published[method])) for method in shown]
        for model in models:
            values = [pick(measured[model, kind]) for kind in kinds]
            texts += [*map(_cell, values), _gap(values[like], reference)]
        return texts

    how = {method: ", mapped" if metric == "plcc" and method in table.mapped else "" for method in shown}
    header = ["dataset", "images: paper", "measured", *(f"{method} (published{how[method]})" for method in shown)]
    for model in models:
        header += [*(f"{model} ({kind})" for kind in kinds), f"difference to {table.compared_with}"]
    rows = [
        (column.title, _count(column.images), _counts(found, column.dataset), *cells(itemgetter(place)))
        for place, column in enumerate(table.columns)
    ]
    return Table(
        title=f"{table.title}: {metric.upper()}",
        header=tuple(header),
        rows=(*rows, ("average", "", "", *cells(_mean))),
        notes=(f"Published numbers: {suite.source}.", *suite.notes),
    )


def _value(item: Measurement | None, field: str) -> float | None:
    value: float | None = None if item is None else getattr(item, field)
    return value


def _mean(values: Sequence[float | None]) -> float | None:
    """None where one of them is missing: averages over other datasets do not compare."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _counts(found: Mapping[tuple[str, str], Measurement], dataset: str) -> str:
    """How many images were measured; several numbers where models failed on different ones."""
    counts = sorted({item.n for (_, name), item in found.items() if name == dataset})
    return " / ".join(_count(count) for count in counts) or "-"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _gap(value: float | None, published: float | None) -> str:
    return "-" if value is None or published is None else f"{value - published:+.3f}"


def _count(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"
