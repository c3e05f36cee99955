"""Any table whose columns the caller names."""

from collections.abc import Mapping
from pathlib import Path

from ray_iqa.data.formats.source import Source
from ray_iqa.data.rows import COLUMNS, ManifestRow
from ray_iqa.data.tables import read_table
from ray_iqa.errors import DataError


def read_named(file: Path, source: Source, columns: Mapping[str, str]) -> list[ManifestRow]:
    """Rows of a table.

    Args:
        file: as `read_table` takes it.
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
    records = list(read_table(file))
    for place, record in records:
        missing = [name for name in columns.values() if name not in record]
        if missing:
            raise DataError(f"{place}: column {missing[0]!r} is missing, found {', '.join(record)}")
    keys = {canonical.replace("path", "name"): name for canonical, name in columns.items()}
    return source.rows((place, {key: record[name] for key, name in keys.items()}) for place, record in records)
