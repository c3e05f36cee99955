"""Rows with absolute paths in memory, and with paths relative to the manifest in its file where that is possible."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ray_iqa.data.manifest import read_rows, write_rows
from ray_iqa.data.remote import is_url, located
from ray_iqa.data.rows import ManifestRow
from ray_iqa.path_text import path_text


def read_located(manifest: Path) -> list[ManifestRow]:
    """Rows of a manifest, their paths made absolute.

    Raises:
        DataError: as `read_rows`.
    """
    folder = manifest.absolute().parent
    return [replace(row, path=located(folder, row.path)) for row in read_rows(manifest)]


def write_located(manifest: Path, rows: Sequence[ManifestRow]) -> None:
    """Write rows with absolute paths; images below the manifest's folder are named relative to it."""
    folder = Path(path_text(manifest.absolute().parent))
    write_rows(manifest, [replace(row, path=_relative(row.path, folder)) for row in rows])


def _relative(name: str, folder: Path) -> str:
    path = Path(name)
    return path.relative_to(folder).as_posix() if not is_url(name) and path.is_relative_to(folder) else name
