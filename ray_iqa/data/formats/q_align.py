"""Metas of Q-Align: a JSON list per split.

Traps: training rows keep the label in ``id`` ("name->mos") only; test rows call the image ``image`` or ``img_path``;
the label of AGIQA-3K is text. The label words of its CSIQ and LIVE files follow the DMOS upwards (the best images are
called "bad"); words are not read, and the direction is that of the label.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray_iqa.data.formats.json_lists import json_records, write_json
from ray_iqa.data.formats.source import Source, image_name
from ray_iqa.data.rows import ManifestRow, unique_rows
from ray_iqa.errors import DataError


def read_q_align(file: Path, source: Source, *, split: str | None = None) -> list[ManifestRow]:
    """Rows of one meta file, which is one split."""
    return unique_rows(
        (place, source.row(place, name=_name(record, place), mos=_label(record, place), split=split))
        for place, record in json_records(file)
    )


def write_q_align(file: Path, rows: Sequence[ManifestRow], images: Path) -> None:
    """Test rows: ``id``, ``image``, ``gt_score``; labels as they are."""
    names = [(image_name(row, images), row.mos) for row in rows]
    write_json(file, [{"id": f"{Path(name).name}->{mos}", "image": name, "gt_score": mos} for name, mos in names])


def _name(record: Mapping[str, Any], place: str) -> str:
    name = record.get("image", record.get("img_path"))
    if not isinstance(name, str):
        raise DataError(f"{place}: must name its image in 'image' or 'img_path', got {sorted(record)}")
    return name


def _label(record: Mapping[str, Any], place: str) -> object:
    if "gt_score" in record:
        return record["gt_score"]
    _, arrow, label = str(record.get("id", "")).rpartition("->")
    if not arrow:
        raise DataError(f"{place}: must have its label in 'gt_score' or behind '->' in 'id', got {sorted(record)}")
    return label
