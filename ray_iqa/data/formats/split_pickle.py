"""Split pickles of pyiqa, read without running anything that is in them."""

import pickle
from pathlib import Path
from typing import NoReturn

from ray_iqa.errors import DataError


class _PlainUnpickler(pickle.Unpickler):
    """Knows no class and no function: what is left are numbers, text, lists and dictionaries."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")


def read_split_pickle(file: Path, number: int = 1) -> dict[str, list[int]]:
    """Row numbers from 0 of each split (train, val, test) of the ``number``-th split, counted from 1.

    Raises:
        DataError: the file holds anything but numbers, text, lists and dictionaries, or not this split.
    """
    try:
        with file.open("rb") as stream:
            content = _PlainUnpickler(stream).load()
    except FileNotFoundError as error:
        raise DataError(f"no split pickle at {file.absolute()}") from error
    except Exception as error:  # broken bytes raise whatever they trip over
        raise DataError(f"{file} must be a pickle of plain lists and dictionaries, but {error}") from error
    if not isinstance(content, dict) or number not in content:
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise DataError(f"{file} must hold split number {number}, found {found}")
    splits = content[number]
    if not (isinstance(splits, dict) and all(isinstance(k, str) and _is_index_list(v) for k, v in splits.items())):
        raise DataError(f"split {number} of {file} must be lists of row numbers by train, val and test")
    return {name: list(indices) for name, indices in splits.items()}


def _is_index_list(value: object) -> bool:
    return isinstance(value, list) and all(type(index) is int for index in value)
