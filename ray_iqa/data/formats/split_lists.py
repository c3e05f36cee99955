"""Lists of each split: of images or contents in a table or split.json of DeQA-Score, of rows in a pickle of pyiqa."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NoReturn

from ray_iqa.data.names import match_names, whole
from ray_iqa.data.rows import ManifestRow, required_text
from ray_iqa.data.tables import read_json, read_table
from ray_iqa.data.unique import grouped, once
from ray_iqa.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A name in a list of a split."""

    place: str
    name: str  # image id, path or the end of one, or reference
    split: str


def split_by_lists(rows: Sequence[ManifestRow], listed: Sequence[Listed]) -> list[ManifestRow]:
    """Splits from lists of images, named as `match_names` has it, and of references; other rows lose their split.

    Raises:
        DataError: a row is in two splits, a name fits no row, or fits images or contents that folders or datasets
            tell apart.
    """
    by_name = grouped((whole(item.name), item) for item in listed)
    images_of = match_names([(row.image_id, row.path) for row in rows], list(by_name))
    rows_of_content = grouped((whole(row.ref_id or ""), place) for place, row in enumerate(rows))
    found: dict[int, Listed] = {}
    unused = []
    for number, (name, items) in enumerate(by_name.items()):
        fitting = [*({images_of[number]} if number in images_of else ()), *rows_of_content.get(name, [])]
        datasets = sorted({rows[place].dataset for place in fitting})
        if len(datasets) > 1:
            raise DataError(f"{items[0].place}: {name!r} fits rows of {' and of '.join(datasets)}; split them apart")
        unused += [] if fitting else items
        for place, item in product(fitting, items):
            first = found.setdefault(place, item)
            if first.split != item.split:
                raise DataError(
                    f"{rows[place].image_id!r} must be in one split, but it is in {first.split!r} by {first.name!r} at "
                    f"{first.place} and in {item.split!r} by {item.name!r} at {item.place}"
                )
    if unused:
        raise DataError(
            f"{len(unused)} listed names fit no image_id, file or ref_id of the rows, the first is "
            f"{unused[0].name!r} at {unused[0].place}"
        )
    return [replace(row, split=found[place].split if place in found else None) for place, row in enumerate(rows)]


def read_split_list(file: Path) -> list[Listed]:
    """The names in a list of splits.

    Args:
        file: a table with the first columns name and split (PIQ23's device split), or a JSON object
            with a list of names per split (split.json of DeQA-Score).

    Raises:
        DataError: no such file, or it is neither.
    """
    if file.suffix == ".json":
        content = read_json(file)
        if not isinstance(content, dict) or not all(isinstance(names, list) for names in content.values()):
            raise DataError(f"{file} must hold an object with a list of names per split")
        return [
            Listed(place=f"{file.name} {split} entry {number}", name=str(name), split=split)
            for split, names in content.items()
            for number, name in enumerate(names, start=1)
        ]
    records = list(read_table(file))
    name, split = (*records[0][1], "", "")[:2]
    if "split" not in split.lower():
        raise DataError(
            f"{file.name} line 1: must be a header, of a name and the split, got {','.join(records[0][1])!r}"
        )
    return [
        Listed(
            place=place,
            name=required_text(record, name, place).strip(),
            split=required_text(record, split, place).strip().lower(),
        )
        for place, record in records
    ]


class _PlainUnpickler(pickle.Unpickler):
    """Knows no class and no function: what is left are numbers, text, lists and dictionaries."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")


def split_by_pickle(rows: Sequence[ManifestRow], file: Path, number: int) -> list[ManifestRow]:
    """Rows with the splits of a pickle, which names them by their number from 0; other rows lose their split.

    Raises:
        DataError: as `read_split_pickle`; a row is listed twice, or there is no row of a number.
    """
    numbers = (
        (f"split {split!r} entry {place}", index, split)
        for split, indices in read_split_pickle(file, number).items()
        for place, index in enumerate(indices, start=1)
    )
    split_of = once(numbers, "row number {}")
    if split_of and not 0 <= min(split_of) <= max(split_of) < len(rows):
        raise DataError(f"row numbers in {file.name} must lie below the {len(rows)} rows that are split")
    return [replace(row, split=split_of.get(index)) for index, row in enumerate(rows)]


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
