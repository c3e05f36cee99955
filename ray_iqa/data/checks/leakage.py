"""Checks across splits and datasets: does a test set show what the training set has shown?"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ray_iqa.data.checks.files import ImageFacts
from ray_iqa.data.checks.finding import Finding, Severity
from ray_iqa.data.datasets.listing import known_dataset
from ray_iqa.data.names import whole
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.unique import grouped

_MAX_DISTANCE = 4  # differing bits of 64 up to which two images are taken for the same picture


def check_contents(rows: Sequence[ManifestRow]) -> Iterator[Finding]:
    """No content of a dataset is in two splits, but where an official split divides its contents."""
    splits_of = grouped(((row.dataset, row.content), row.split) for row in rows if row.split is not None)
    shared = {key: set(splits) for key, splits in splits_of.items() if len(set(splits)) > 1}
    for dataset in sorted({dataset for dataset, _ in shared}):
        names = sorted(content for own, content in shared if own == dataset)
        where = " and ".join(sorted(shared[dataset, names[0]]))
        known = known_dataset(dataset)
        is_official = known is not None and known.split_inside_contents
        message = f"{len(names):,} contents are in several splits, e.g. {names[0]} in {where}"
        message += ", as in an official split; results then say nothing about new contents" if is_official else ""
        yield Finding(severity="note" if is_official else "error", check="leakage", dataset=dataset, message=message)


def check_same_files(named: Iterable[tuple[str, ManifestRow]]) -> Iterator[Finding]:
    """No file is in two splits, whatever the ids of its rows.

    Args:
        named: what tells files apart, a digest of the content or else the path, and the row.
    """
    rows_of: dict[str, dict[str, ManifestRow]] = {}
    for name, row in named:
        rows_of.setdefault(name, {}).setdefault(_side(row), row)
    yield from _finding(
        "error", "are the same file", [tuple(own.values())[:2] for own in rows_of.values() if len(own) > 1]
    )


def check_look_alikes(facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    """No picture of another file is in another split, by perceptual hash; contents are left to `check_contents`."""
    hashed = [fact for fact in facts if fact.perceptual_hash is not None]
    sides = np.array([_side(fact.row) for fact in hashed])
    contents = [(fact.row.dataset, fact.row.content) for fact in hashed]
    hashes = np.array([fact.perceptual_hash for fact in hashed], dtype=np.uint64)
    pairs = []
    for i, fact in enumerate(hashed[:-1]):
        near = np.bitwise_count(hashes[i + 1 :] ^ hashes[i]) <= _MAX_DISTANCE
        near &= sides[i + 1 :] != sides[i]
        for j in np.flatnonzero(near) + i + 1:
            if fact.content != hashed[j].content and contents[i] != contents[j]:
                pairs.append((fact.row, hashed[j].row))
    yield from _finding("warning", "look alike", pairs)


def _finding(severity: Severity, what: str, pairs: Sequence[tuple[ManifestRow, ...]]) -> Iterator[Finding]:
    if pairs:
        first, second = pairs[0]
        one_path = whole(first.path) == whole(second.path)
        names = [f"{row.path}{f' as {row.image_id!r}' if one_path else ''} ({_side(row)})" for row in (first, second)]
        message = f"{len(pairs):,} pairs of images in different splits {what}, e.g. {' and '.join(names)}"
        yield Finding(severity=severity, check="leakage", dataset=first.dataset, message=message)


def _side(row: ManifestRow) -> str:
    """A dataset without splits is a side of its own, so overlaps between datasets are found too."""
    return row.split if row.split is not None else f"{row.dataset}, no split"
