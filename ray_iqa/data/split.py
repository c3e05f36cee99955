"""Splitting a dataset: by reference with a seed, or as published lists say."""

import csv
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

import numpy as np

from ray_iqa.data.formats.json_lists import read_json
from ray_iqa.data.published_splits import PUBLISHED_SPLITS
from ray_iqa.data.rows import ManifestRow
from ray_iqa.errors import DataError
from ray_iqa.seeds import derive_seed


def split_by_reference(rows: Sequence[ManifestRow], shares: Mapping[str, float], seed: int) -> list[ManifestRow]:
    """Deal the contents of each dataset to the splits; all versions of a content stay together.

    The order of the rows does not matter.

    Args:
        rows: of one or several datasets.
        shares: of the contents, by split; they add up to 1.
        seed: the same seed gives the same split.

    Raises:
        DataError: the shares do not add up, or a dataset has too few contents to give each split one.
    """
    if abs(sum(shares.values()) - 1) > 1e-6 or min(shares.values(), default=0) <= 0:
        raise DataError(f"the shares of the splits must be positive and add up to 1, got {dict(shares)}")
    split_of: dict[tuple[str, str], str] = {}
    for dataset in sorted({row.dataset for row in rows}):
        contents = sorted({row.content for row in rows if row.dataset == dataset})
        order = np.random.default_rng(derive_seed(seed, "split", dataset)).permutation(len(contents))
        ends = np.rint(np.cumsum(list(shares.values())) * len(contents)).astype(int)
        if min(np.diff(ends, prepend=0)) < 1:
            raise DataError(f"dataset {dataset!r} has {len(contents)} contents, too few for splits of {dict(shares)}")
        for name, start, stop in zip(shares, [0, *ends[:-1]], ends, strict=True):
            split_of |= {(dataset, contents[index]): name for index in order[start:stop]}
    return [replace(row, split=split_of[row.dataset, row.content]) for row in rows]


def split_by_lists(rows: Sequence[ManifestRow], lists: Mapping[str, Set[str]]) -> list[ManifestRow]:
    """Splits from lists of image ids, file names or references; rows in no list lose their split.

    Raises:
        DataError: a name is in two lists, or a listed name fits no row.
    """
    split_of: dict[str, str] = {}
    for split, names in lists.items():
        for name in names:
            if split_of.setdefault(name, split) != split:
                raise DataError(f"{name!r} must be in one split, but it is in {split_of[name]!r} and {split!r}")
    used: set[str] = set()
    result = []
    for row in rows:
        keys = [row.image_id, Path(row.path).name, row.ref_id or ""]
        key = next((key for key in keys if key in split_of), None)
        if key is not None:
            used.add(key)
        result.append(replace(row, split=None if key is None else split_of[key]))
    unused = sorted(set(split_of) - used)
    if unused:
        raise DataError(f"{len(unused)} listed names fit no image_id, file or ref_id of the rows, e.g. {unused[0]!r}")
    return result


def published_split(rows: Sequence[ManifestRow], publisher: str) -> list[ManifestRow]:
    """The split that a paper published for the rows' dataset.

    Raises:
        DataError: none is known, or the rows are not that dataset.
    """
    datasets = sorted({row.dataset for row in rows})
    lists = PUBLISHED_SPLITS.get((datasets[0], publisher)) if len(datasets) == 1 else None
    if lists is None:
        known = ", ".join(f"{dataset} by {name}" for dataset, name in PUBLISHED_SPLITS)
        raise DataError(f"no split of {', '.join(datasets)} by {publisher!r} is known; there are: {known}")
    return split_by_lists(rows, lists)


def read_split_list(file: Path) -> dict[str, set[str]]:
    """Names by split.

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
    lists: dict[str, set[str]] = {}
    with file.open(newline="", encoding="utf-8-sig") as stream:
        for number, line in enumerate(csv.reader(stream), start=1):
            if number == 1 or not line:
                continue
            if len(line) < 2 or not line[0].strip() or not line[1].strip():
                raise DataError(f"{file.name} line {number}: must be a name and its split, got {','.join(line)!r}")
            lists.setdefault(line[1].strip().lower(), set()).add(line[0].strip())
    return lists


def _json_lists(file: Path) -> dict[str, set[str]]:
    content = read_json(file)
    if not isinstance(content, dict) or not all(isinstance(names, list) for names in content.values()):
        raise DataError(f"{file} must hold an object with a list of names per split")
    return {str(split): {Path(str(name)).name for name in names} for split, names in content.items()}
