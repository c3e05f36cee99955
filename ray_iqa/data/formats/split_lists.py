"""Lists of the images or contents of each split: a csv, or split.json of DeQA-Score."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import StringIO
from itertools import product
from pathlib import Path

from ray_iqa.data.formats.json_lists import read_json
from ray_iqa.data.names import match_names, whole
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.unique import unique_columns
from ray_iqa.errors import DataError
from ray_iqa.files import read_text


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
    by_name: dict[str, list[Listed]] = {}
    for item in listed:
        by_name.setdefault(whole(item.name), []).append(item)
    images_of = match_names([(row.image_id, row.path) for row in rows], list(by_name))
    rows_of_content: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        rows_of_content.setdefault(whole(row.ref_id or ""), []).append(place)
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
        file: a csv with a header and the first columns name and split (PIQ23's device split), or a JSON object
            with a list of names per split (split.json of DeQA-Score).

    Raises:
        DataError: no such file, or it is neither.
    """
    if not file.is_file():
        raise DataError(f"no list of a split at {file.absolute()}")
    if file.suffix == ".json":
        return _json_lists(file)
    listed = []
    for number, line in enumerate(csv.reader(StringIO(read_text(file))), start=1):
        place = f"{file.name} line {number}"
        if number == 1:
            unique_columns(line, place)
            if "split" not in ",".join(line[1:2]).lower():
                raise DataError(f"{place}: must be a header, of a name and the split, got {','.join(line)!r}")
        elif len(line) == 1 or (line and not (line[0].strip() and line[1].strip())):
            raise DataError(f"{place}: must be a name and its split, got {','.join(line)!r}")
        elif line:
            listed.append(Listed(place=place, name=line[0].strip(), split=line[1].strip().lower()))
    return listed


def _json_lists(file: Path) -> list[Listed]:
    content = read_json(file)
    if not isinstance(content, dict) or not all(isinstance(names, list) for names in content.values()):
        raise DataError(f"{file} must hold an object with a list of names per split")
    return [
        Listed(place=f"{file.name} {split} entry {number}", name=str(name), split=split)
        for split, names in content.items()
        for number, name in enumerate(names, start=1)
    ]
