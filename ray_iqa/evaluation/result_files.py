"""The files of an evaluation beside its predictions."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ray_iqa.evaluation.differences import Difference
from ray_iqa.evaluation.measure import Measurement
from ray_iqa.evaluation.records import RESULTS
from ray_iqa.files import write_text
from ray_iqa.tables import Table, to_csv, to_latex, to_markdown


def write_results(
    folder: Path,
    measurements: Sequence[Measurement],
    differences: Sequence[Difference],
    tables: Sequence[Table],
    provenance: Mapping[str, Any],  # Any: JSON
) -> None:
    """Write results.json, results.csv, differences.csv, results.md and results.tex.

    Args:
        folder: of the predictions.
        measurements: one per model and dataset.
        differences: one per pair of models and dataset.
        tables: what Markdown and LaTeX show.
        provenance: of the evaluation; ``source`` and ``command`` lead the Markdown.
    """
    content = {
        "provenance": dict(provenance),
        "results": [_json(asdict(item)) for item in measurements],
        "differences": [_json(asdict(item)) for item in differences],
    }
    write_text(folder / RESULTS, json.dumps(content, indent=2, allow_nan=False) + "\n")
    write_text(folder / "results.csv", _csv(Measurement, measurements))
    write_text(folder / "differences.csv", _csv(Difference, differences))
    facts = "".join(f"- {key}: {value}\n" for key, value in provenance.items() if isinstance(value, str))
    write_text(
        folder / "results.md", "\n".join([f"# Evaluation\n\n{facts}", *(to_markdown(table) for table in tables)])
    )
    write_text(folder / "results.tex", "\n".join(to_latex(table) for table in tables))


def _csv(kind: type[Measurement | Difference], items: Sequence[Measurement | Difference]) -> str:
    names = [field.name for field in fields(kind)]
    return to_csv(names, [[_cell(getattr(item, name)) for name in names] for item in items])


def _cell(value: object) -> object:
    if isinstance(value, float) and math.isnan(value):
        return None
    return " ".join(map(repr, value)) if isinstance(value, tuple) else value


def _json(row: dict[str, Any]) -> dict[str, Any]:
    """Numbers that do not exist become null, which JSON has."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
