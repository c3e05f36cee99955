"""Scores that are already in a file."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray_iqa.data.manifest import file_records
from ray_iqa.errors import DataError
from ray_iqa.evaluation_records import Prediction
from ray_iqa.types import LabelledImage

_PATHS = ("image_path", "path")


class ColumnScorer:
    """One column of a csv, jsonl or parquet file, as any tool may have written it.

    A row belongs to an image by ``image_id`` (and ``dataset``, where that column is there); without ``image_id`` by
    ``image_path`` or ``path``, compared as written and then by file name. An empty score is a failed image.

    Args:
        file: with a header.
        column: of the scores; ``-`` before its name says that lower is better.

    Raises:
        DataError: no such file or columns, a score is not a number, or two rows are of one image.
    """

    def __init__(self, file: Path, column: str) -> None:
        self._file = file
        self._sign = -1.0 if column.startswith("-") else 1.0
        column = column.removeprefix("-")
        self._scores: dict[tuple[str, ...], float | None] = {}
        self._key_column = ""
        self._with_dataset = False
        for place, record in file_records(file):
            if not self._key_column:
                self._choose_columns(place, record, column)
            key = self._key(record.get("dataset"), str(record[self._key_column]))
            if key in self._scores:
                raise DataError(f"{place}: a second row for {' '.join(key)!r}; every image must have one score")
            self._scores[key] = _number(record[column], column, place)
        by_name: dict[str, list[tuple[str, ...]]] = {}
        for key in self._scores:
            by_name.setdefault(Path(key[-1]).name, []).append(key)
        self._by_file_name = {name: keys[0] for name, keys in by_name.items() if len(keys) == 1}

    def predict(self, images: Sequence[LabelledImage]) -> list[Prediction]:
        """See `Scorer.predict`."""
        return [self._prediction(image) for image in images]

    def _choose_columns(self, place: str, record: Mapping[str, Any], column: str) -> None:  # Any: values of a file
        self._key_column = next((name for name in ("image_id", *_PATHS) if name in record), "")
        self._with_dataset = "dataset" in record
        if not self._key_column or column not in record:
            raise DataError(
                f"{place}: there must be a column {column!r} and one of image_id, {', '.join(_PATHS)}, "
                f"found {', '.join(record)}"
            )

    def _key(self, dataset: object, name: str) -> tuple[str, ...]:
        return (str(dataset), name) if self._with_dataset else (name,)

    def _prediction(self, image: LabelledImage) -> Prediction:
        key = self._key(image.dataset, image.image_id if self._key_column == "image_id" else image.image_path)
        if key not in self._scores and self._key_column in _PATHS:
            key = self._by_file_name.get(Path(image.image_path).name, key)
        if key not in self._scores:
            return Prediction(score=None, reason=f"{self._file.name} has no row for it")
        score = self._scores[key]
        if score is None:
            return Prediction(score=None, reason=f"its score in {self._file.name} is empty")
        return Prediction(score=self._sign * score)


def _number(value: object, column: str, place: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)  # type: ignore[arg-type] # whatever it is, float says what it thinks of it
    except (TypeError, ValueError) as error:
        raise DataError(f"{place}: {column} must be a number, got {value!r}") from error
    if math.isinf(number):
        raise DataError(f"{place}: {column} must be finite, got {value!r}")
    return None if math.isnan(number) else number  # NaN is how tables write an empty cell
