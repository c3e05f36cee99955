"""Tables in files: read by one set of rules whatever the format, written whole or not at all.

Reading csv, tsv, jsonl, json (a list of objects), parquet, xlsx and xls: text is UTF-8 with or without a byte order
mark; columns are separated by commas, semicolons or tabs, as the header shows; blanks around a column's name are no
part of it. An empty cell, null and NaN are absent. Lines and rows without any value are passed over, everything else is
a row or an error that names its place; a table without rows is an error too.
"""

import csv
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from ray_iqa.data.unique import parse_json, unique_columns
from ray_iqa.errors import DataError, OutputError
from ray_iqa.files import read_text, reading, whole_file

SUFFIXES = (".csv", ".jsonl", ".parquet")
"""What is written."""
READABLE = (*SUFFIXES, ".tsv", ".json", ".xlsx", ".xls")
_SEPARATORS = ",;\t"
_Record = Mapping[str, Any]  # Any: values as the file types them, None for what is absent


def read_table(
    file: Path, columns: Sequence[str] = (), *, optional: Sequence[str] = (), sheet: str | None = None
) -> Iterator[tuple[str, _Record]]:
    """(place, record) of each row; the place is for error messages.

    Args:
        file: of one of the formats ``READABLE``, by its suffix.
        columns: that each row has a value in. The header is the first row that names them all, and what stands above it
            is not looked at. Without ``columns`` it is the first row.
        optional: others that are looked up; where ``columns`` are given, any further ones may share a name.
        sheet: of a workbook, where rows without any of ``columns`` are notes; the first sheet without it.

    Raises:
        DataError: no such file or sheet, not readable, no rows, two columns of one name, a row that is longer or
            shorter than the header, or a row without one of ``columns``.
    """
    kind, is_empty = file.suffix.lower(), True
    with _readable(file):
        among = [*columns, *optional] if columns else None
        if kind in (".csv", ".tsv", ".xlsx", ".xls"):
            cells = _lines(file) if kind in (".csv", ".tsv") else _sheet(file, sheet)
            records = _under_header(file, cells, columns, among)
        elif kind in (".json", ".jsonl"):
            records = _json_list(file) if kind == ".json" else _json_lines(file)
        elif kind == ".parquet":
            records = _parquet(file, among)
        else:
            raise DataError(f"a table must end in {', '.join(READABLE[:-1])} or {READABLE[-1]}, got {file}")
        for place, found in records:
            if not isinstance(found, dict):
                raise DataError(f"{place}: must be a JSON object, got {type(found).__name__}")
            record = {name: None if _is_absent(value) else value for name, value in found.items()}
            if all(record.get(name) is None for name in (columns if sheet else record)):
                continue
            for name in columns:
                if record.get(name) is None:
                    raise DataError(f"{place}: {name} must not be empty, found {', '.join(record)}")
            is_empty = False
            yield place, record
    if is_empty:
        raise DataError(f"{file} has no rows")


def read_words(file: Path, form: str, counts: Collection[int], separator: str | None = None) -> list[list[str]]:
    """The place and the words of each line of a list without a header; empty lines are passed over.

    Args:
        file: a text file.
        form: what a line must be, for messages.
        counts: of words that a line may have.
        separator: between words; blanks without it.

    Raises:
        DataError: the file cannot be read or has no lines, or names the line that has another number of words.
    """
    found = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        words = [word.strip() for word in line.split(separator)]
        if line.strip():
            if len(words) not in counts:
                raise DataError(f"{file.name} line {number}: must be {form}, got {line!r}")
            found.append([f"{file.name} line {number}", *words])
    if not found:
        raise DataError(f"{file} has no rows")
    return found


def read_columns(file: Path, columns: Sequence[str] = ()) -> pa.Table:
    """Some columns of a parquet file; all without ``columns``.

    Raises:
        DataError: no such file, not readable, or without one of them.
    """
    with _readable(file), pq.ParquetFile(file) as stream:
        missing = [name for name in columns if name not in stream.schema_arrow.names]
        if missing:
            raise DataError(f"{file} must have the column {missing[0]!r}, found {', '.join(stream.schema_arrow.names)}")
        return stream.read(columns=list(columns) or None)


def read_json(file: Path) -> Any:  # noqa: ANN401 - JSON
    """The content of a JSON file.

    Raises:
        DataError: there is none, it is not JSON, or an object in it has a key twice.
    """
    return parse_json(read_text(file), file.name)


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
    """As `write_records`, of what took long to find: where there is no room, it goes to the temporary folder.

    Where there is none either, it is printed on standard output, a JSON object a line.

    Raises:
        OutputError: names the place that it is in.
    """
    try:
        write_records(file, records, schema)
    except OutputError as error:
        spare = Path(gettempdir()) / f"ray-iqa-{uuid4().hex[:8]}-{file.name}"
        try:
            write_records(spare, records, schema)
        except OutputError as second:
            sys.stdout.writelines(f"{json.dumps(record)}\n" for record in records)
            message = f"{error}; {second}; what was found is on standard output, a JSON object a line"
            raise OutputError(message) from error
        raise OutputError(f"{error}; what was found is kept in {spare}") from error


def require_suffix(file: Path) -> None:
    """Check that a table of this name can be written.

    Raises:
        DataError: it cannot.
    """
    if file.suffix not in SUFFIXES:
        raise DataError(f"a table that is written must end in .csv, .jsonl or .parquet, got {file}")


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    if not file.is_file():
        raise DataError(f"no table at {file.absolute()}")
    with reading(file, f"a readable {file.suffix[1:]} file"):
        yield


def _is_absent(value: object) -> bool:
    return value is None or value != value or (isinstance(value, str) and value.strip().lower() in ("", "nan"))


def _under_header(
    file: Path, rows: Iterable[tuple[str, Sequence[object]]], columns: Sequence[str], among: Sequence[str] | None
) -> Iterator[tuple[str, _Record]]:
    header: list[str] = []
    first = "nothing"
    for place, cells in rows:
        if header:
            if len(cells) != len(header) and not all(map(_is_absent, cells)):
                raise DataError(f"{place}: must have {len(header)} fields as the header, got {len(cells)}")
            yield place, dict(zip(header, cells, strict=False))
            continue
        names = [str(cell).strip() for cell in cells]
        if any(names):
            first = ", ".join(names) if first == "nothing" else first
            if set(columns) <= set(names):
                unique_columns(names, place, among)
                header = names
    if columns and not header:
        raise DataError(f"{file.name} must have a row with the columns {', '.join(columns)}, the first is {first}")


def _lines(file: Path) -> Iterator[tuple[str, list[str]]]:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        first = next((line for line in stream if line.strip()), "")
        found = [mark for mark in _SEPARATORS if len(next(csv.reader([first], delimiter=mark))) > 1]
        if len(found) > 1:
            raise DataError(
                f"{file.name}: columns must be separated by commas, by semicolons or by tabs, but the header has "
                f"{' and '.join(map(repr, found))}: {first.strip()!r}"
            )
        stream.seek(0)
        reader = csv.reader(stream, delimiter=found[0] if found else ",", strict=True)
        for cells in reader:
            yield f"{file.name} line {reader.line_num}", cells


def _sheet(file: Path, sheet: str | None) -> Iterator[tuple[str, list[Any]]]:
    try:
        from python_calamine import CalamineWorkbook
    except ImportError as error:
        raise DataError(f"reading {file.name} needs python-calamine: pip install 'ray-iqa[data]'") from error
    with CalamineWorkbook.from_path(str(file)) as workbook:
        if sheet is not None and sheet not in workbook.sheet_names:
            raise DataError(f"{file.name} must have a sheet {sheet!r}, found {', '.join(workbook.sheet_names)}")
        rows = workbook.get_sheet_by_name(sheet or workbook.sheet_names[0]).to_python(skip_empty_area=False)
    yield from ((f"{file.name} row {number}", cells) for number, cells in enumerate(rows, start=1))


def _json_lines(file: Path) -> Iterator[tuple[str, Any]]:
    with file.open(encoding="utf-8-sig") as stream:
        places = ((f"{file.name} line {number}", line) for number, line in enumerate(stream, start=1) if line.strip())
        yield from ((place, parse_json(line, place)) for place, line in places)


def _json_list(file: Path) -> Iterator[tuple[str, Any]]:
    content = read_json(file)
    if not isinstance(content, list):
        raise DataError(f"{file} must hold a list of objects")
    yield from ((f"{file.name} entry {number}", record) for number, record in enumerate(content, start=1))


def _parquet(file: Path, among: Sequence[str] | None) -> Iterator[tuple[str, _Record]]:
    # Not pq.read_table: it would read hive partitions out of the folders' names, and its scanner's threads may outlive
    # the call and abort a process that ends.
    with pq.ParquetFile(file) as stream:
        unique_columns(stream.schema_arrow.names, file.name, among)
        records = (record for batch in stream.iter_batches() for record in batch.to_pylist())
        yield from ((f"{file.name} row {number}", record) for number, record in enumerate(records, start=1))
