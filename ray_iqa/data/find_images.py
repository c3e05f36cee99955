"""Picture files named one by one, by folder or by pattern."""

from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from itertools import chain
from os import scandir
from pathlib import Path

from ray_iqa.errors import ConfigError
from ray_iqa.path_text import path_text

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""Looked for in folders; a file named itself may have any."""


def find_images(names: Sequence[str]) -> list[Path]:
    """All files in the order of ``names``, each once, as `path_text`; those of a folder or pattern are sorted.

    Args:
        names: files, whether they exist or not; folders, searched in depth; patterns with ``*``, ``?``, ``**``.

    Raises:
        ConfigError: a folder or a pattern holds no picture file, or a name is empty.
    """
    return [Path(path) for path in dict.fromkeys(path for name in names for path in images_of(name))]


def images_of(name: str) -> Iterator[str]:
    """Paths behind one name of `find_images`, without holding those of a folder in memory."""
    if not name:  # as a path it would be the working directory
        raise ConfigError("the name of a picture or folder must not be empty; is a variable of the shell not set?")
    path = Path(name)
    if not path.is_dir() and (path.exists() or not has_magic(name)):
        yield path_text(path)
        return
    pictures = _below(str(path)) if path.is_dir() else _matching(name)
    first = next(pictures, None)
    if first is None:
        raise ConfigError(f"{name!r} must hold pictures ({', '.join(SUFFIXES)}), found none")
    yield from map(path_text, chain([first], pictures))


def _below(folder: str) -> Iterator[str]:
    with scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path)
        elif entry.name.lower().endswith(SUFFIXES) and entry.is_file():
            yield entry.path


def _matching(pattern: str) -> Iterator[str]:
    found = map(Path, sorted(glob(pattern, recursive=True)))  # noqa: PTH207 - Path.glob wants a folder first
    return (str(file) for file in found if file.suffix.lower() in SUFFIXES and file.is_file())
