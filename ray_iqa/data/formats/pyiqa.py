"""Meta csv of pyiqa (IQA-PyTorch), with its split columns; its split pickles are read beside it.

The header names the image, behind its reference where there is one, and then the label: ``img_name, mos, std, ...`` or
``ref_name, dist_name, mos, std, ...``. Traps: the ``mos`` of KonIQ-10k is the z-score on 0 to 100 beside a std on 1 to
5, so that std is left out; the ``mos`` of LIVE is a DMOS.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from ray_iqa.data.formats.source import Source, image_name
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.tables import read_table
from ray_iqa.errors import DataError
from ray_iqa.files import whole_file

_LABELS = ("mos", "dmos", "elo_score")


def read_pyiqa(file: Path, source: Source, *, split_column: str | None = None) -> list[ManifestRow]:
    """Rows of a meta csv.

    Args:
        file: the csv.
        source: where the images are and what the labels mean.
        split_column: e.g. ``official_split``; its values become the split.

    Raises:
        DataError: a column is missing, a line is broken, or an image is there twice.
    """
    records = list(read_table(file))
    header = list(records[0][1])
    names = [column for column in header if column.endswith("name")]
    label = header[header.index(names[-1]) + 1 :][:1] if names else []
    if len(names) > 2 or not label or label[0].lower() not in _LABELS:
        raise DataError(
            f"{file.name} must begin with a header such as img_name,mos,std or ref_name,dist_name,mos,std, "
            f"found {','.join(header)!r}; any other table is read with --from table"
        )
    if split_column is not None and split_column not in header:
        known = ", ".join(name for name in header if "split" in name) or "none"
        raise DataError(f"{file.name} must have a column {split_column!r}; its split columns are {known}")
    columns = {"name": names[-1], "mos": label[0]} | ({"ref_id": names[0]} if len(names) > 1 else {})
    if "std" in header and source.dataset != "koniq10k":
        columns["mos_std"] = "std"
    if split_column is not None:
        columns["split"] = split_column
    return source.rows((place, {key: record[name] for key, name in columns.items()}) for place, record in records)


def write_pyiqa(file: Path, rows: Sequence[ManifestRow], images: Path) -> None:
    """``img_name, mos, std, official_split``; labels as they are, an absent spread or split is left empty."""
    with whole_file(file) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["img_name", "mos", "std", "official_split"])
        writer.writerows([image_name(row, images), row.mos, row.mos_std, row.split] for row in rows)
