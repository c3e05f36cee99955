"""Picture files named one by one, by folder or by pattern."""

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from glob import glob, has_magic
from itertools import chain
from pathlib import Path

from ray_iqa.data.remote import is_url, list_files
from ray_iqa.errors import ConfigError
from ray_iqa.path_text import path_text

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Looked for in folders, whether they can be decoded here or not; a file named itself may have any."""


def find_images(names: Sequence[str]) -> list[str]:
    """All files and URLs in the order of ``names``, each once, as `path_text`; those of a folder or pattern are sorted.

    Args:
        names: files, whether they exist or not; folders, searched in depth, linked ones too, each once; patterns with
            ``*``, ``?``, ``**``; URLs of a prefix, pattern or file in an object store.

    Raises:
        ConfigError: an object store cannot be listed, a folder or a pattern holds no picture file, or a name is empty.
    """
    return list(dict.fromkeys(path for name in names for path in images_of(name)))


def images_of(name: str) -> Iterator[str]:
    """Paths behind one name of `find_images`, without holding those of a folder in memory."""
    if not name:  # as a path it would be the working directory
        raise ConfigError("the name of a picture or folder must not be empty; is a variable of the shell not set?")
    if is_url(name):
        yield from list_files(name, SUFFIXES) if has_magic(name) or not name.lower().endswith(SUFFIXES) else [name]
        return
    path = Path(name)
    if not path.is_dir() and (path.exists() or not has_magic(name)):
        yield path_text(path)
        return
    pictures = _below(str(path), {os.path.realpath(path)}) if path.is_dir() else _matching(name)
    first = next(pictures, None)
    if first is None:
        raise ConfigError(f"{name!r} must hold pictures ({', '.join(SUFFIXES)}), found none")
    yield from map(path_text, chain([first], pictures))


def _below(folder: str, seen: set[str]) -> Iterator[str]:
    """Pictures in depth; a linked folder that lies below one of ``seen``, or was followed before, is found there."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path, seen)
        elif entry.is_dir():
            target = os.path.realpath(entry.path)
            if not any(Path(target).is_relative_to(known) for known in seen):
                seen.add(target)
                yield from _below(entry.path, seen)
        elif entry.name.lower().endswith(SUFFIXES) and entry.is_file():
            yield entry.path


def _matching(pattern: str) -> Iterator[str]:
    """Pictures that fit a pattern, sorted."""
    parts = Path(pattern).parts
    if "**" not in parts:
        names = sorted(glob(pattern))  # noqa: PTH207 - Path.glob wants a folder first
        yield from (name for name in names if name.lower().endswith(SUFFIXES) and Path(name).is_file())
        return
    # `glob` would follow links in circles.
    place = next(place for place, part in enumerate(parts) if has_magic(part))
    base = Path(*parts[:place])
    if not base.is_dir():
        return
    for path in _below(str(base), {os.path.realpath(base)}):
        if _fits(Path(path).relative_to(base).parts, parts[place:]):
            yield path


def _fits(names: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether the parts of a path fit those of a pattern, of which ``**`` stands for any number of folders."""
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_fits(names[start:], patterns[1:]) for start in range(len(names) + 1))
    return bool(names) and fnmatch(names[0], patterns[0]) and _fits(names[1:], patterns[1:])
