"""Finding and reading the files of a dataset: upper and lower case vary between copies, folders move."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_iqa.data.tables import read_table
from ray_iqa.data.unique import unique_columns
from ray_iqa.errors import DataError
from ray_iqa.files import reading

AUTHORS_SPLITS = {"training": "train", "validation": "val", "test": "test"}
"""Splits as the authors of KonIQ-10k and UHD-IQA call them -> as they are called here."""
Listing = dict[Path, dict[str, Path]]  # of each folder, files by their name in lower case


class ImageFiles:
    """Image files below the folders that copies of a dataset use."""

    def __init__(self, root: Path, folders: Sequence[str]) -> None:
        """Look for ``folders`` below ``root``; those that exist are searched in this order.

        Raises:
            DataError: none of them exists.
        """
        self._names: Listing = {}
        found = [folder for name in folders if (folder := _actual(root.absolute(), name, self._names)).is_dir()]
        if not found:
            raise DataError(f"{root} must have its images in one of {', '.join(folders)}, found none of these folders")
        self._folders = found

    def path(self, name: str, *other_names: str) -> Path:
        """Where the image is, under any of its names; where it should be when it is missing."""
        for folder in self._folders:
            for candidate in (name, *other_names):
                actual = _actual(folder, candidate, self._names)
                if actual.exists():
                    return actual
        return self._folders[0] / name


def find_file(root: Path, *candidates: str) -> Path | None:
    """The first of the files that exists below ``root``."""
    for name in candidates:
        actual = _actual(root.absolute(), name, {})
        if actual.is_file():
            return actual
    return None


def label_file(root: Path, *candidates: str) -> Path:
    """The first of the files that exists below ``root``.

    Raises:
        DataError: none does.
    """
    found = find_file(root, *candidates)
    if found is None:
        raise DataError(f"{root} must have the labels in {' or '.join(candidates)}, found neither")
    return found


def columns_of(root: Path, files: Sequence[str], columns: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Labels in the first table of ``files`` that exists below ``root``; ``columns`` are its own by canonical name.

    Raises:
        DataError: there is no such table, or it lacks a column or a value.
    """
    for place, record in read_table(label_file(root, *files), list(columns.values())):
        yield place, {name: record[column] for name, column in columns.items()}


def matlab_variable(file: Path, name: str) -> NDArray[Any]:  # Any: numbers, or text in a cell array
    """A variable of a .mat file as a flat array.

    Raises:
        DataError: the file is not readable, or has no such variable.
    """
    from scipy.io import loadmat, whosmat

    with reading(file, "a readable .mat file (version 7.2 or below)"):
        names = [found for found, _, _ in whosmat(file)]
        variables = loadmat(file, squeeze_me=True)
    unique_columns(names, file.name, among=[name])
    if name not in variables:
        known = ", ".join(key for key in variables if not key.startswith("__"))
        raise DataError(f"{file.name} must have a variable {name!r}, found {known}")
    return np.atleast_1d(variables[name]).ravel()


def name_parts(name: str, separator: str, count: int, place: str) -> list[str]:
    """The parts of a file name that tell what it shows.

    Raises:
        DataError: it does not have ``count`` parts.
    """
    parts = name.split(separator)
    if len(parts) != count:
        raise DataError(f"{place}: a file name must have {count} parts between {separator!r}, got {name!r}")
    return parts


def coded_name(name: str, kinds: Sequence[str], place: str) -> tuple[str, int]:
    """(kind, level) of a name such as I01_04_05.png: kind number 4 of ``kinds``, level 5.

    Raises:
        DataError: the name is not of this form.
    """
    _, kind, level = name_parts(Path(name).stem, "_", 3, place)
    if not (kind.isdecimal() and level.isdecimal() and 1 <= int(kind) <= len(kinds)):
        raise DataError(f"{place}: must name one of {len(kinds)} distortions and a level, got {name!r}")
    return kinds[int(kind) - 1], int(level)


def check_lengths(file: Path, expected: int, **found: int) -> None:
    """Columns that are kept in separate files must be of one length.

    Raises:
        DataError: names the first that is not.
    """
    for name, length in found.items():
        if length != expected:
            raise DataError(
                f"{name} must have one value for each of the {expected} images of {file.name}, got {length}"
            )


def _actual(folder: Path, name: str, listing: Listing) -> Path:
    """``folder / name`` with each part spelt as it is on disk, where that is not one of several ways."""
    for part in Path(name).parts:
        exact = folder / part
        if not exact.exists():
            if folder not in listing:
                listing[folder] = _names(folder)
            exact = listing[folder].get(part.lower(), exact)
        folder = exact
    return folder


def _names(folder: Path) -> dict[str, Path]:
    """Entries by their name in lower case, without those that differ by case only."""
    try:
        entries = list(folder.iterdir())
    except OSError:  # no such folder
        return {}
    counts = Counter(entry.name.lower() for entry in entries)
    return {entry.name.lower(): entry for entry in entries if counts[entry.name.lower()] == 1}
