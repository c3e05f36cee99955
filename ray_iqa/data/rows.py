"""The canonical row of a manifest, and the check of one record against it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast

from ray_iqa.data.names import whole
from ray_iqa.data.unique import once
from ray_iqa.errors import DataError, hint
from ray_iqa.path_text import path_text
from ray_iqa.types import LabelledImage

Direction = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """One labelled image, labels on the dataset's own scale.

    ``direction`` says which end of the scale is the better one. Only ``dataset``, ``image_id``,
    ``path``, ``mos`` and ``direction`` must be in a file.
    """

    dataset: str  # labels are comparable within a dataset only
    image_id: str  # unique within the dataset
    path: str  # absolute, or relative to the manifest's folder
    ref_id: str | None = None  # content shown; a split by content keeps it together
    scene_id: str | None = None  # scene, where labels are comparable inside a scene only
    distortion: str | None = None
    level: int | None = None  # 0 is pristine
    mos: float
    mos_std: float | None = None  # between raters, in units of ``mos``
    direction: Direction
    scale_min: float | None = None
    scale_max: float | None = None
    split: str | None = None
    licence: str | None = None

    @property
    def content(self) -> str:
        """Reference, else scene, else the image itself: what a split keeps together; unique within the dataset."""
        return self.ref_id or self.scene_id or self.image_id


def rows_of_split(rows: Sequence[ManifestRow], split: str | None, source: str | Path) -> list[ManifestRow]:
    """The rows of one split, in their order; ``None`` takes all.

    Raises:
        DataError: ``source`` has no such row.
    """
    chosen = [row for row in rows if split in (None, row.split)]
    if not chosen:
        found = ", ".join(sorted({row.split for row in rows if row.split})) or "none"
        raise DataError(
            f"{source} has no row whose split is {split!r}, its splits: {found}; "
            "`ray-iqa data split MANIFEST OUT` writes a manifest with train, val and test"
        )
    return chosen


COLUMNS = tuple(field.name for field in fields(ManifestRow))
REQUIRED = ("dataset", "image_id", "path", "mos", "direction")


def parse_row(record: Mapping[str, Any], place: str) -> ManifestRow:  # Any: values as the file types them
    """Check one record; empty text, None and NaN count as absent, columns of other names are ignored.

    Raises:
        DataError: begins with ``place`` and names column and value.
    """
    for column in REQUIRED:
        if column not in record:
            raise DataError(f"{place}: column {column!r} is missing, found {', '.join(record)}{hint(column, record)}")
    mos = required_number(record, "mos", place)
    direction = _text(record, "direction", place)
    if direction not in ("higher", "lower"):
        raise DataError(f"{place}: direction must be 'higher' or 'lower' (which is better), got {direction!r}")
    row = ManifestRow(
        dataset=required_text(record, "dataset", place),
        image_id=required_text(record, "image_id", place),
        path=required_text(record, "path", place),
        ref_id=_text(record, "ref_id", place),
        scene_id=_scene(record, place),
        distortion=_text(record, "distortion", place),
        level=_count(record, "level", place),
        mos=mos,
        mos_std=number_in(record, "mos_std", place),
        direction=cast(Direction, direction),
        scale_min=number_in(record, "scale_min", place),
        scale_max=number_in(record, "scale_max", place),
        split=_text(record, "split", place),
        licence=_text(record, "licence", place),
    )
    _check_scale(row, place)
    return row


def _scene(record: Mapping[str, Any], place: str) -> str | None:  # Any: as `parse_row`
    """The scene, by the name of its column or by the one that it had before 0.2."""
    scene, before = _text(record, "scene_id", place), _text(record, "group_id", place)
    if scene is not None and before is not None and scene != before:
        raise DataError(f"{place}: scene_id was called group_id before; they must agree, got {scene!r} and {before!r}")
    return scene or before


def unique_rows(placed: Iterable[tuple[str, ManifestRow]]) -> list[ManifestRow]:
    """The rows of (place, row), checked against each other.

    Raises:
        DataError: an image_id that a dataset has twice, however spelled, or a dataset whose rows disagree on
            ``direction``; names both places.
    """
    rows = list(placed)
    ids = ((place, (whole(row.image_id), row.dataset), row) for place, row in rows)
    once(ids, "image_id {0[0]!r} of dataset {0[1]!r}")
    direction_of: dict[str, tuple[str, str]] = {}
    for place, row in rows:
        direction, first_place = direction_of.setdefault(row.dataset, (row.direction, place))
        if direction != row.direction:
            raise DataError(
                f"{place}: a dataset must have one direction, got {row.direction!r} "
                f"but {row.dataset!r} is {direction!r} at {first_place}"
            )
    return [row for _, row in rows]


def labelled_image(row: ManifestRow) -> LabelledImage:
    """A row with an absolute path as models take it."""
    return LabelledImage(
        image_id=row.image_id,
        image_path=row.path,
        dataset=row.dataset,
        mos=row.mos,
        mos_std=row.mos_std,
        higher_is_better=row.direction == "higher",
        scene_id=row.scene_id,
        content=row.content,
        distortion=row.distortion,
        level=row.level,
    )


def required_number(record: Mapping[str, Any], column: str, place: str) -> float:  # Any: as `parse_row`
    """The number in a column.

    Raises:
        DataError: begins with ``place`` and names column and value; also for what is absent.
    """
    number = number_in(record, column, place)
    if number is None:
        raise DataError(f"{place}: {column} must be a number, but it is empty")
    return number


def number_in(record: Mapping[str, Any], column: str, place: str) -> float | None:  # Any: as `parse_row`
    """The number in a column; None for nothing and for NaN, as tables write an empty cell.

    Raises:
        DataError: begins with ``place`` and names column and value.
    """
    value = record.get(column)
    if value is None or value == "":
        return None
    try:
        number = math.inf if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if math.isinf(number):
        raise DataError(f"{place}: {column} must be a number, got {value!r}")
    return None if math.isnan(number) else number


def required_text(record: Mapping[str, Any], column: str, place: str) -> str:  # Any: as `parse_row`
    """The text in a column, a whole number as its digits.

    Raises:
        DataError: begins with ``place`` and names column and value; also for what is absent.
    """
    text = _text(record, column, place)
    if text is None:
        raise DataError(f"{place}: {column} must not be empty")
    return text


def _check_scale(row: ManifestRow, place: str) -> None:
    if row.mos_std is not None and row.mos_std < 0:
        raise DataError(f"{place}: mos_std must not be negative, got {row.mos_std!r}")
    low = -math.inf if row.scale_min is None else row.scale_min
    high = math.inf if row.scale_max is None else row.scale_max
    if not low < high:
        raise DataError(f"{place}: scale_min must be below scale_max, got {low!r} and {high!r}")
    if not low <= row.mos <= high:
        raise DataError(f"{place}: mos must lie in scale_min to scale_max, {low!r} to {high!r}, got {row.mos!r}")


def _count(record: Mapping[str, Any], column: str, place: str) -> int | None:
    number = number_in(record, column, place)
    if number is None:
        return None
    if number < 0 or number != int(number):
        raise DataError(f"{place}: {column} must be a whole number from 0, got {record[column]!r}")
    return int(number)


def _text(record: Mapping[str, Any], column: str, place: str) -> str | None:
    value = record.get(column)
    if value is None or value == "":
        return None
    if isinstance(value, float) and (value != value or value.is_integer()):  # whole numbers beside absent ones
        return None if value != value else str(int(value))
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise DataError(f"{place}: {column} must be text, got {value!r}")
    if "\0" in str(value):
        raise DataError(f"{place}: {column} must not hold a NUL character, got {value!r}")
    return path_text(str(value))
