"""Manifests: one row per labelled image, as csv, jsonl or parquet."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa

from ray_iqa.data.contents import with_contents
from ray_iqa.data.remote import folder_of, is_url, local_file, located
from ray_iqa.data.rows import COLUMNS, ManifestRow, labelled_image, parse_row, rows_of_split, unique_rows
from ray_iqa.data.tables import read_table, write_records
from ray_iqa.path_text import path_text
from ray_iqa.types import LabelledImage

_NUMERIC = {"mos", "mos_std", "scale_min", "scale_max"}
_SCHEMA = pa.schema(
    [(name, pa.float64() if name in _NUMERIC else pa.int64() if name == "level" else pa.string()) for name in COLUMNS]
)


def read_rows(path: str | Path) -> list[ManifestRow]:
    """All rows of a manifest, checked one by one and against each other.

    Raises:
        DataError: names file, line, column and the value found. Also for an image_id that a dataset
            has twice, and for a dataset whose rows disagree on ``direction``.
    """
    return unique_rows((place, parse_row(record, place)) for place, record in read_table(Path(path)))


def load_manifest(path: str | Path, split: str | None) -> list[LabelledImage]:
    """The labelled images of one split, in the manifest's order; ``None`` takes every row.

    ``path`` and the paths in its rows may be URLs of files in object stores; a relative one in a row is relative to
    the manifest's folder. Images are not opened.

    Raises:
        DataError: as `read_rows`, or when no row has that split.
    """
    return [labelled_image(row) for row in rows_of_split(read_located(path), split, path)]


def write_rows(path: str | Path, rows: Iterable[ManifestRow]) -> None:
    """Write rows as csv, jsonl or parquet by the suffix of ``path``; the same rows give the same bytes."""
    write_records(Path(path), [asdict(row) for row in rows], _SCHEMA)


def read_located(path: str | Path) -> list[ManifestRow]:
    """Rows of a manifest, which may lie at a URL, as `with_contents` fills them; paths are made absolute, or URLs.

    Raises:
        DataError: as `read_rows`.
    """
    with local_file(path) as file:
        return with_contents([replace(row, path=located(folder_of(path), row.path)) for row in read_rows(file)])


def write_located(manifest: Path, rows: Sequence[ManifestRow]) -> None:
    """Write rows with absolute paths; images below the manifest's folder are named relative to it."""
    folder = Path(path_text(manifest.absolute().parent))
    write_rows(manifest, [replace(row, path=_relative(row.path, folder)) for row in rows])


def _relative(name: str, folder: Path) -> str:
    path = Path(name)
    return path.relative_to(folder).as_posix() if not is_url(name) and path.is_relative_to(folder) else name
