"""Datasets named on a command line: manifests, and public datasets as they are distributed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ray_iqa.data.datasets.listing import public_dataset
from ray_iqa.data.label_maps import stated_ranges
from ray_iqa.data.manifest import read_located
from ray_iqa.data.names import whole
from ray_iqa.data.rows import ManifestRow, labelled_image, rows_of_split
from ray_iqa.data.tables import READABLE
from ray_iqa.data.unique import once
from ray_iqa.errors import DataError
from ray_iqa.types import LabelledImage


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSet:
    """The rows of one dataset, in the order found; paths are absolute, files are not opened."""

    dataset: str
    rows: tuple[ManifestRow, ...]
    mos_low: float  # ends as `stated_ranges` has them, of all rows, those of other splits too
    mos_high: float


def read_labelled_sets(words: Sequence[str]) -> list[LabelledSet]:
    """All datasets of several sources, in the order they appear.

    Args:
        words: manifests (csv, jsonl, parquet) or ``NAME=FOLDER`` of a public dataset; ``@SPLIT`` behind either takes
            one split.

    Raises:
        DataError: a source does not exist or is not as described, a split is empty, an image is there twice, or two
            sources of one dataset disagree on direction.
    """
    chosen: dict[str, list[ManifestRow]] = {}
    every: list[ManifestRow] = []
    for word in words:
        source, split = _source_and_split(word)
        rows = _read(source)
        every += rows
        for row in rows_of_split(rows, split, source):
            chosen.setdefault(row.dataset, []).append(row)
    for name, rows in chosen.items():
        check_union(name, [labelled_image(row) for row in rows])
    ranges = stated_ranges(every)
    return [
        LabelledSet(dataset=name, rows=tuple(rows), mos_low=ranges[name][0], mos_high=ranges[name][1])
        for name, rows in chosen.items()
    ]


def _source_and_split(word: str) -> tuple[str, str | None]:
    if Path(word).exists():
        return word, None
    source, at, split = word.rpartition("@")
    return (source, split) if at and split and "/" not in split else (word, None)


def _read(source: str) -> list[ManifestRow]:
    name, equals, folder = source.partition("=")
    if equals and folder and not Path(source).exists():
        return public_dataset(name).rows(Path(folder))
    if Path(source).suffix not in READABLE:
        raise DataError(
            f"--data must be a manifest ({', '.join(READABLE)}) or NAME=FOLDER of a public dataset, got {source!r}"
        )
    return read_located(Path(source))


def check_union(name: str, images: Sequence[LabelledImage]) -> None:
    """What each source of dataset ``name`` holds in itself must hold over all of them.

    Raises:
        DataError: ids that are not unique, two directions, or scenes for some images only.
    """
    pictures = ((f"picture {image.image_path}", whole(image.image_id), image) for image in images)
    once(pictures, f"in the sources of dataset {name!r} image_id {{!r}}")
    if len({image.higher_is_better for image in images}) > 1:
        raise DataError(f"the sources of dataset {name!r} must agree on direction, but some say higher and some lower")
    if len({image.scene_id is None for image in images}) > 1:
        raise DataError(f"either all rows of dataset {name!r} must have a scene_id or none")
