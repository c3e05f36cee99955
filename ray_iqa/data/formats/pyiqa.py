"""Meta csv of pyiqa (IQA-PyTorch), with its split columns or split pickles.

Columns go by position: ``name, mos, std, ...`` without a reference, ``ref, name, mos, std, ...`` with one. Traps: the
first seven rows of LIVE Challenge are training images, which pyiqa drops before it counts rows; the ``mos`` of
KonIQ-10k is the z-score on 0 to 100 beside a std on 1 to 5, so that std is left out; the ``mos`` of LIVE is a DMOS.
"""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from ray_iqa.data.formats.source import TRAINING_IMAGE, Source, image_name
from ray_iqa.data.rows import ManifestRow, unique_rows
from ray_iqa.data.unique import once, unique_columns
from ray_iqa.errors import DataError
from ray_iqa.files import read_text, whole_file


def read_pyiqa(
    file: Path, source: Source, *, split_column: str | None = None, splits: Mapping[str, Sequence[int]] | None = None
) -> list[ManifestRow]:
    """Rows of a meta csv.

    Args:
        file: the csv.
        source: where the images are and what the labels mean.
        split_column: e.g. ``official_split``; its values become the split.
        splits: row numbers from 0 by split, as `split_pickle.read_split_pickle` gives them.

    Raises:
        DataError: a column is missing, a line is broken, a row number does not exist or is listed twice, or an image is
            there twice.
    """
    header, *lines = [line for line in csv.reader(StringIO(read_text(file))) if line] or [[]]
    unique_columns(header, f"{file.name} line 1")
    numbered = [(number, line) for number, line in enumerate(lines, start=2) if not _is_training(line, source)]
    first = 1 if "name" in "".join(header[1:2]) else 0  # column of the image name: ref_name, dist_name, mos
    if split_column is not None and split_column not in header:
        known = ", ".join(name for name in header if "split" in name) or "none"
        raise DataError(f"{file.name} must have a column {split_column!r}; its split columns are {known}")
    column = header.index(split_column) if split_column is not None else None
    has_std = header[first + 2 : first + 3] == ["std"] and source.dataset != "koniq10k"
    split_of = _split_of(splits or {}, len(numbered), file)
    rows: list[tuple[str, ManifestRow]] = []
    for index, (number, line) in enumerate(numbered):
        place = f"{file.name} line {number}"
        if len(line) != len(header):
            raise DataError(f"{place}: must have {len(header)} fields as the header, got {len(line)}")
        split = split_of.get(index) if column is None else line[column]
        row = source.row(
            place,
            name=line[first],
            mos=line[first + 1],
            mos_std=line[first + 2] if has_std else None,
            ref_id=line[0] if first else None,
            split=split,
        )
        rows.append((place, row))
    return unique_rows(rows)


def write_pyiqa(file: Path, rows: Sequence[ManifestRow], images: Path) -> None:
    """``img_name, mos, std, official_split``; labels as they are, an absent spread or split is left empty."""
    with whole_file(file) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["img_name", "mos", "std", "official_split"])
        writer.writerows([image_name(row, images), row.mos, row.mos_std, row.split] for row in rows)


def _is_training(line: list[str], source: Source) -> bool:
    return source.dataset == "live-challenge" and TRAINING_IMAGE.fullmatch(Path(line[0]).name) is not None


def _split_of(splits: Mapping[str, Sequence[int]], num_rows: int, file: Path) -> dict[int, str]:
    numbers = (
        (f"split {split!r} entry {place}", number, split)
        for split, own in splits.items()
        for place, number in enumerate(own, start=1)
    )
    split_of = once(numbers, f"row number {{}} of {file.name}")
    if split_of and not 0 <= min(split_of) <= max(split_of) < num_rows:
        raise DataError(f"row numbers of a split must lie below the {num_rows} rows of {file.name}")
    return split_of
