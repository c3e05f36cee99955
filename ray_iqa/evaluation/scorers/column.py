"""Scores that are already in a file."""

import logging
from collections.abc import Sequence
from pathlib import Path

from ray_iqa.answers.verdict import Verdict
from ray_iqa.data.names import match_names, whole
from ray_iqa.data.rows import number_in, required_text
from ray_iqa.data.tables import read_table
from ray_iqa.data.unique import once
from ray_iqa.errors import DataError
from ray_iqa.types import LabelledImage

logger = logging.getLogger(__name__)
_PATHS = ("image_path", "path")
_Rows = dict[tuple[str, str], tuple[str, str]]  # key of the file's row by key of the image


class ColumnScorer:
    """One column of a table (`read_table` has the formats), as any tool may have written it.

    A row belongs to an image by ``image_id`` (and ``dataset``, where that column is there); without ``image_id`` by
    ``image_path`` or ``path``, as `match_names` has it. An empty score is a failed image, and so is one without a row;
    how many rows are of no image is said.

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
        self._by_id = self._with_dataset = False
        found: list[tuple[str, tuple[str, str], float | None]] = []
        key_column = ""
        for place, record in read_table(file):
            if not key_column:
                key_column = next((name for name in ("image_id", *_PATHS) if name in record), "image_id")
                self._by_id, self._with_dataset = key_column == "image_id", "dataset" in record
            if key_column not in record or column not in record:
                raise DataError(
                    f"{place}: there must be a column {column!r} and one of image_id, {', '.join(_PATHS)}, "
                    f"found {', '.join(record)}"
                )
            dataset = required_text(record, "dataset", place) if self._with_dataset else ""
            key = dataset, whole(required_text(record, key_column, place))
            found.append((place, key, number_in(record, column, place)))
        self._scores = once(found, "a row for {0[1]!r}, of which every image must have one,")

    def predict(self, images: Sequence[LabelledImage]) -> list[Verdict]:
        """See `Scorer.predict`; takes all images that are to be scored, to see which of them a row means.

        Raises:
            DataError: a row fits two images, or two rows fit an image, equally well, or no row fits any.
        """
        names = [whole(image.image_id if self._by_id else image.image_path) for image in images]
        keys = [(image.dataset if self._with_dataset else "", name) for image, name in zip(images, names, strict=True)]
        rows = self._rows_by_id(images, keys) if self._by_id else self._rows_by_path(keys)
        left = self._scores.keys() - rows.values()
        if not rows:
            raise DataError(
                f"no row of {self._file} is of one of the images, such as {_said(min(left))}; the first image is "
                f"{_said(keys[0])}"
            )
        if left:
            counts = f"{len(left):,} of {len(self._scores):,} rows of {self._file.name}"
            logger.warning("%s are of none of the images, such as %s", counts, _said(min(left)))
        return [self._prediction(rows.get(key)) for key in keys]

    def _rows_by_id(self, images: Sequence[LabelledImage], keys: Sequence[tuple[str, str]]) -> _Rows:
        places = (f"image {image.image_id!r} of {image.dataset!r}" for image in images)
        served = ((place, key, key) for place, key in zip(places, keys, strict=True) if key in self._scores)
        return once(served, f"{self._file.name} needs a column dataset, for its row of {{0[1]!r}}")

    def _rows_by_path(self, keys: Sequence[tuple[str, str]]) -> _Rows:
        """Images of one path are one picture."""
        rows: _Rows = {}
        for dataset in {dataset for dataset, _ in keys}:
            own, there = (sorted({key for key in side if key[0] == dataset}) for side in (keys, self._scores))
            matches = match_names([[name] for _, name in own], [name for _, name in there])
            rows |= {own[image]: there[row] for row, image in matches.items()}
        return rows

    def _prediction(self, row: tuple[str, str] | None) -> Verdict:
        if row is None:
            return Verdict(value=None, reason=f"{self._file.name} has no row for it")
        score = self._scores[row]
        if score is None:
            return Verdict(value=None, reason=f"its score in {self._file.name} is empty")
        return Verdict(value=self._sign * score)


def _said(key: tuple[str, str]) -> str:
    return " of ".join(repr(part) for part in reversed(key) if part)
