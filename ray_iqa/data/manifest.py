"""Manifests: one row per labelled image, as csv, jsonl or parquet."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from ray_iqa.data.remote import folder_of, local_file, located
from ray_iqa.data.rows import ManifestRow, labelled_image, parse_row, rows_of_split, unique_rows
from ray_iqa.data.unique import parse_json, unique_columns
from ray_iqa.errors import DataError, OutputError
from ray_iqa.files import whole_file
from ray_iqa.types import LabelledImage

COLUMNS = tuple(field.name for field in fields(ManifestRow))
SUFFIXES = (".csv", ".jsonl", ".parquet")
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
    file = Path(path)
    rows = unique_rows((place, parse_row(record, place)) for place, record in file_records(file))
    if not rows:
        raise DataError(f"{file} has no rows")
    return rows


def load_manifest(path: str | Path, split: str | None) -> list[LabelledImage]:
    """The labelled images of one split, in the manifest's order; ``None`` takes every row.

    ``path`` and the paths in its rows may be URLs of files in object stores; a relative one in a row is relative to
    the manifest's folder. Images are not opened.

    Raises:
        DataError: as `read_rows`, or when no row has that split.
    """
    with local_file(path) as file:
        rows = read_rows(file)
    folder = folder_of(path)
    return [labelled_image(replace(row, path=located(folder, row.path))) for row in rows_of_split(rows, split, path)]


def write_rows(path: str | Path, rows: Iterable[ManifestRow]) -> None:
    """Write rows as csv, jsonl or parquet by the suffix of ``path``; the same rows give the same bytes."""
    write_records(Path(path), [asdict(row) for row in rows], _SCHEMA)


def write_records(file: Path, records: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:  # Any: as `schema` says
    """Write a csv, jsonl or parquet file, by its suffix, with the columns of ``schema``; whole or not at all.

    Raises:
        DataError: another suffix.
    """
    require_suffix(file)
    with whole_file(file) as partial:
        match file.suffix:
            case ".csv":
                with partial.open("w", newline="", encoding="utf-8") as stream:
                    writer = csv.DictWriter(stream, schema.names, lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(records)
            case ".jsonl":
                partial.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
            case ".parquet":
                pq.write_table(pa.Table.from_pylist(list(records), schema=schema), partial)


def keep_records(file: Path, records: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:  # Any: as `schema` says
    """As `write_records`, of what took long to find: without room for it in its place, it goes to the temporary folder.

    Raises:
        OutputError: names the place that it is in.
    """
    try:
        write_records(file, records, schema)
    except OutputError as error:
        spare = Path(gettempdir()) / f"ray-iqa-{uuid4().hex[:8]}-{file.name}"
        write_records(spare, records, schema)
        raise OutputError(f"{error}; what was found is kept in {spare}") from error


def require_suffix(file: Path) -> None:
    """Check that a table of this name can be read and written.

    Raises:
        DataError: it cannot.
    """
    if file.suffix not in SUFFIXES:
        raise DataError(f"a table must end in .csv, .jsonl or .parquet, got {file}")


def file_records(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:  # Any: values as the file types them
    """(place, record) of each row of a csv, jsonl or parquet file; the place is for error messages.

    Raises:
        DataError: there is no such file, it is not readable, or it names a column twice.
    """
    readers = {".csv": _csv_records, ".jsonl": _jsonl_records, ".parquet": _parquet_records}
    require_suffix(file)
    try:
        yield from readers[file.suffix](file)
    except FileNotFoundError as error:
        raise DataError(f"no manifest at {file.absolute()}") from error
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise DataError(f"{file} is not a readable {file.suffix[1:]} file: {error}") from error


def _csv_records(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with file.open(newline="", encoding="utf-8-sig") as stream:  # spreadsheets write a byte order mark
        reader = csv.DictReader(stream, strict=True)
        unique_columns(reader.fieldnames or (), f"{file.name} line 1")
        for record in reader:
            place = f"{file.name} line {reader.line_num}"
            if None in record:
                raise DataError(f"{place}: more fields than the header has columns")
            yield place, record


def _jsonl_records(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with file.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            place = f"{file.name} line {number}"
            record = parse_json(line, place)
            if not isinstance(record, dict):
                raise DataError(f"{place}: must be a JSON object, got {type(record).__name__}")
            yield place, record


def _parquet_records(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    # Not pq.read_table: it would read hive partitions out of the folders' names, and its scanner's threads may outlive
    # the call and abort a process that ends.
    with pq.ParquetFile(file) as stream:
        unique_columns(stream.schema_arrow.names, file.name)
        records = (record for batch in stream.iter_batches() for record in batch.to_pylist())
        for number, record in enumerate(records, start=1):
            yield f"{file.name} row {number}", record
