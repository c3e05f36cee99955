"""Checks across splits and datasets: does a test set show what the training set has shown?"""

from collections.abc import Iterator, Sequence

import numpy as np

from ray_iqa.data.checks.files import ImageFacts
from ray_iqa.data.checks.finding import Finding, Severity
from ray_iqa.data.datasets.listing import known_dataset
from ray_iqa.data.names import whole
from ray_iqa.data.rows import ManifestRow

_MAX_DISTANCE = 4  # differing bits of 64 up to which two images are taken for the same picture


def check_contents(rows: Sequence[ManifestRow]) -> Iterator[Finding]:
    """No content of a dataset is in two splits, but where an official split divides its contents."""
    splits_of: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        if row.split is not None:
            splits_of.setdefault((row.dataset, row.content), set()).add(row.split)
    shared = {key: splits for key, splits in splits_of.items() if len(splits) > 1}
    for dataset in sorted({dataset for dataset, _ in shared}):
        names = sorted(content for own, content in shared if own == dataset)
        where = " and ".join(sorted(shared[dataset, names[0]]))
        known = known_dataset(dataset)
        is_official = known is not None and known.split_inside_contents
        message = f"{len(names):,} contents are in several splits, e.g. {names[0]} in {where}"
        message += ", as in an official split; results then say nothing about new contents" if is_official else ""
        yield Finding(severity="note" if is_official else "error", check="leakage", dataset=dataset, message=message)


def check_paths(rows: Sequence[ManifestRow]) -> Iterator[Finding]:
    """No file is named on two sides, under whatever ids; what `check_pictures` says of such without opening any."""
    rows_of: dict[str, list[ManifestRow]] = {}
    for row in rows:
        rows_of.setdefault(whole(row.path), []).append(row)
    shared = [own for own in rows_of.values() if len({_side(row) for row in own}) > 1]
    if shared:
        first, second = shared[0][0], next(row for row in shared[0] if _side(row) != _side(shared[0][0]))
        message = (
            f"{len(shared):,} files are in several splits, e.g. {first.path} as {first.image_id!r} in {_side(first)} "
            f"and as {second.image_id!r} in {_side(second)}"
        )
        yield Finding(severity="error", check="leakage", dataset=first.dataset, message=message)


def check_pictures(facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    """No picture is in two splits, by content of the file and by perceptual hash.

    A dataset without splits is a side of its own, so overlaps between datasets are found too. Versions of one
    content are left to `check_contents`.
    """
    hashed = [fact for fact in facts if fact.perceptual_hash is not None]
    if not hashed:
        return
    sides = np.array([_side(fact.row) for fact in hashed])
    contents = np.array([f"{fact.row.dataset}/{fact.row.content}" for fact in hashed])
    hashes = np.array([fact.perceptual_hash for fact in hashed], dtype=np.uint64)
    same_file: list[tuple[int, int]] = []
    look_alike: list[tuple[int, int]] = []
    for i in range(len(hashed) - 1):
        near = np.bitwise_count(hashes[i + 1 :] ^ hashes[i]) <= _MAX_DISTANCE
        near &= sides[i + 1 :] != sides[i]
        for j in np.flatnonzero(near) + i + 1:
            if hashed[i].content == hashed[j].content:
                same_file.append((i, int(j)))
            elif contents[i] != contents[j]:
                look_alike.append((i, int(j)))
    found: list[tuple[list[tuple[int, int]], Severity, str]] = [
        (same_file, "error", "are the same file"),
        (look_alike, "warning", "look alike"),
    ]
    for pairs, severity, what in found:
        if pairs:
            i, j = pairs[0]
            message = (
                f"{len(pairs):,} pairs of images in different splits {what}, e.g. {hashed[i].row.path} "
                f"({sides[i]}) and {hashed[j].row.path} ({sides[j]})"
            )
            yield Finding(severity=severity, check="leakage", dataset=hashed[i].row.dataset, message=message)


def _side(row: ManifestRow) -> str:
    return row.split if row.split is not None else f"{row.dataset}, no split"
