"""What `ray-iqa eval` leaves behind: one row per model, dataset and image, and one per model and dataset.

An evaluation folder holds ``predictions.parquet`` and ``results.json``; reports and comparisons read both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from ray_iqa.answers.verdict import Verdict
from ray_iqa.data.labelled_sets import LabelledSet
from ray_iqa.data.tables import keep_records, read_table
from ray_iqa.data.unique import once
from ray_iqa.errors import DataError

PREDICTIONS, RESULTS = "predictions.parquet", "results.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRow:
    """One model's answer about one labelled image."""

    model: str
    dataset: str
    image_id: str
    image_path: str
    scene_id: str | None = None  # scene, where labels are comparable inside a scene only
    ref_id: str | None = None
    distortion: str | None = None
    level: int | None = None
    split: str | None = None
    mos: float | None
    mos_std: float | None = None
    direction: Literal["higher", "lower"]  # which end of the labels is better
    mos_low: float  # ends of the label's scale, or the extremes found where the dataset has none
    mos_high: float
    score: float | None
    score_std: float | None = None
    status: Literal["ok", "failed"]
    reason: str | None = None
    reasoning: str | None = None
    seconds: float | None = None

    @property
    def content(self) -> str:
        """As `ManifestRow.content`."""
        return self.ref_id or self.scene_id or self.image_id

    @property
    def oriented_mos(self) -> float | None:
        """The label, turned so that higher is better."""
        return self.mos if self.mos is None or self.direction == "higher" else -self.mos


_KINDS = {"level": pa.int32()} | dict.fromkeys(
    ("mos", "mos_std", "mos_low", "mos_high", "score", "score_std", "seconds"), pa.float64()
)
PREDICTION_SCHEMA = pa.schema([(field.name, _KINDS.get(field.name, pa.string())) for field in fields(PredictionRow)])


SCORE_FIELDS = [(name, pa.float64()) for name in ("score", "scale_min", "scale_max")]
SCORE_FIELDS += [(name, pa.string()) for name in ("status", "reason")]
"""What a file of the light scorer's scores says about a picture; see `score_columns`."""


def score_columns(verdict: Verdict) -> dict[str, float | str | None]:
    """Values of ``SCORE_FIELDS``."""
    return {
        "score": verdict.value,
        "scale_min": verdict.scale.minimum,
        "scale_max": verdict.scale.maximum,
        "status": verdict.status,
        "reason": verdict.reason,
    }


def prediction_rows(model: str, labelled: LabelledSet, found: Sequence[Verdict]) -> list[PredictionRow]:
    """One model's answers beside the labels; ``found`` is in the order of the rows."""
    return [
        PredictionRow(
            model=model,
            dataset=row.dataset,
            image_id=row.image_id,
            image_path=row.path,
            scene_id=row.scene_id,
            ref_id=row.ref_id,
            distortion=row.distortion,
            level=row.level,
            split=row.split,
            mos=row.mos,
            mos_std=row.mos_std,
            direction=row.direction,
            mos_low=labelled.mos_low,
            mos_high=labelled.mos_high,
            score=verdict.value,
            score_std=verdict.spread,
            status=verdict.status,
            reason=verdict.reason,
            reasoning=verdict.reasoning,
            seconds=verdict.seconds,
        )
        for row, verdict in zip(labelled.rows, found, strict=True)
    ]


def write_predictions(folder: Path, rows: Iterable[PredictionRow]) -> Path:
    """Write ``predictions.parquet``, whole or not at all, as `keep_records` does."""
    keep_records(folder / PREDICTIONS, [asdict(row) for row in rows], PREDICTION_SCHEMA)
    return folder / PREDICTIONS


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:  # Any: values as the file types them
    """``scene_id`` was called ``group_id`` before 0.2."""
    return {"scene_id" if name == "group_id" else name: value for name, value in row.items()}


def read_predictions(folder: Path) -> list[PredictionRow]:
    """Rows of ``predictions.parquet``, in their order.

    Raises:
        DataError: there is none, it is not what `write_predictions` wrote, or an image has two rows of one model.
    """
    file = folder / PREDICTIONS
    if not file.is_file():
        raise DataError(f"{folder} must be a folder written by ray-iqa eval, it has no {PREDICTIONS}")
    try:
        rows = [(place, PredictionRow(**_renamed(row))) for place, row in read_table(file)]
    except TypeError as error:
        raise DataError(f"{file} is not a table of predictions: {error}") from error
    found = ((place, (row.image_id, row.dataset, row.model), row) for place, row in rows)
    return list(once(found, "image {0[0]!r} of dataset {0[1]!r} by model {0[2]!r}").values())
