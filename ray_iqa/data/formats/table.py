"""Any csv, jsonl or parquet whose columns the caller names."""

from collections.abc import Mapping
from pathlib import Path

from ray_iqa.data.formats.source import Source
from ray_iqa.data.manifest import COLUMNS, file_records
from ray_iqa.data.rows import ManifestRow, unique_rows
from ray_iqa.errors import DataError


def read_table(file: Path, source: Source, columns: Mapping[str, str]) -> list[ManifestRow]:
    """Rows of a table.

    Args:
        file: .csv, .jsonl or .parquet.
        source: where the images are and what the labels mean.
        columns: column of the file by canonical column; ``path`` and ``mos`` at least, e.g. ``{"path": "img"}``.

    Raises:
        DataError: a canonical column does not exist, or the file lacks a column.
    """
    unknown = sorted(set(columns) - set(COLUMNS))
    if unknown:
        raise DataError(f"there is no canonical column {unknown[0]!r}; there are {', '.join(COLUMNS)}")
    if not {"path", "mos"} <= set(columns):
        raise DataError("a table needs the names of its columns for path and mos, e.g. path=image mos=score")
    rows: list[tuple[str, ManifestRow]] = []
    for place, record in file_records(file):
        missing = [name for name in columns.values() if name not in record]
        if missing:
            raise DataError(f"{place}: column {missing[0]!r} is missing, found {', '.join(record)}")
        values = {canonical: record[name] for canonical, name in columns.items() if canonical not in ("path", "mos")}
        name, mos = str(record[columns["path"]]), record[columns["mos"]]
        rows.append((place, source.row(place, name=name, mos=mos, **values)))
    return unique_rows(rows)
