"""Splitting a dataset: by reference with a seed, or as published lists say."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ray_iqa.data.contents import without_contents
from ray_iqa.data.formats.split_lists import Listed, split_by_lists
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.unique import grouped
from ray_iqa.errors import DataError
from ray_iqa.seeds import derive_seed

_KADID_VAL = "07 12 14 15 16 27 32 35 36 41 44 49 55 66 67 70"
_KADID_TEST = "19 29 30 34 37 38 43 50 64 71 72 73 74 78 80 81"


def _kadid() -> dict[str, frozenset[str]]:
    val = frozenset(f"I{number}" for number in _KADID_VAL.split())
    test = frozenset(f"I{number}" for number in _KADID_TEST.split())
    return {"train": frozenset(f"I{number:02d}" for number in range(1, 82)) - val - test, "val": val, "test": test}


PUBLISHED_SPLITS: Mapping[tuple[str, str], Mapping[str, frozenset[str]]] = {
    ("kadid10k", "visualquality-r1"): _kadid(),
}
"""(dataset, who published it) -> references of each split. VisualQuality-R1's shuffle cannot be repeated from its
seed, so its lists are the split: 49, 16 and 16 references of KADID-10k."""


def split_by_reference(rows: Sequence[ManifestRow], shares: Mapping[str, float], seed: int) -> list[ManifestRow]:
    """Deal the contents of each dataset to the splits; all versions of a content stay together.

    The order of the rows does not matter.

    Args:
        rows: of one or several datasets.
        shares: of the contents, by split; they add up to 1.
        seed: the same seed gives the same split.

    Raises:
        DataError: the shares do not add up, a dataset has too few contents to give each split one, or a public
            dataset that shows its contents several times has rows without ``ref_id``.
    """
    if not (abs(sum(shares.values()) - 1) <= 1e-6 and min(shares.values(), default=0) > 0):  # NaN neither
        raise DataError(f"the shares of the splits must be positive and add up to 1, got {dict(shares)}")
    split_of: dict[tuple[str, str], str] = {}
    for dataset, own in sorted(grouped((row.dataset, row) for row in rows).items()):
        if problem := without_contents(own):
            raise DataError(f"a split by content needs to know the contents: {problem}")
        contents = sorted({row.content for row in own})
        order = np.random.default_rng(derive_seed(seed, "split", dataset)).permutation(len(contents))
        ends = np.rint(np.cumsum(list(shares.values())) * len(contents)).astype(int)
        if min(np.diff(ends, prepend=0)) < 1:
            raise DataError(f"dataset {dataset!r} has {len(contents)} contents, too few for splits of {dict(shares)}")
        for name, start, stop in zip(shares, [0, *ends[:-1]], ends, strict=True):
            split_of |= {(dataset, contents[index]): name for index in order[start:stop]}
    return [replace(row, split=split_of[row.dataset, row.content]) for row in rows]


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
    names = ((name, split) for split, names in lists.items() for name in names)
    return split_by_lists(rows, [Listed(place=publisher, name=name, split=split) for name, split in names])
