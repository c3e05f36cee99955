"""Metas of Q-Align: a JSON list per split.

Traps: training rows keep the label in ``id`` ("name->mos") only; test rows call the image ``image`` or ``img_path``;
the label of AGIQA-3K is text. The label words of its CSIQ and LIVE files follow the DMOS upwards (the best images are
called "bad"); words are not read, and the direction is that of the label.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray_iqa.data.formats.source import Source, image_name
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.tables import read_table
from ray_iqa.errors import DataError
from ray_iqa.files import write_text


def read_q_align(file: Path, source: Source) -> list[ManifestRow]:
    """Rows of one meta file, which is one split."""
    return source.rows((place, _named(record, place)) for place, record in read_table(file))


def write_q_align(file: Path, rows: Sequence[ManifestRow], images: Path) -> None:
    """Test rows: ``id``, ``image``, ``gt_score``; labels as they are."""
    names = [(image_name(row, images), row.mos) for row in rows]
    write_json(file, [{"id": f"{Path(name).name}->{mos}", "image": name, "gt_score": mos} for name, mos in names])


def write_json(file: Path, content: object) -> None:
    """Indented, as the peers write it."""
    write_text(file, json.dumps(content, indent=4) + "\n")


def _named(record: Mapping[str, Any], place: str) -> Mapping[str, object]:
    names = [record[key] for key in ("image", "img_path") if record.get(key) is not None]
    if len(names) != 1 or not isinstance(names[0], str):
        raise DataError(f"{place}: must name one image, in 'image' or in 'img_path', got {names} in {sorted(record)}")
    if record.get("gt_score") is not None:
        return {"name": names[0], "mos": record["gt_score"]}
    _, arrow, label = str(record.get("id", "")).rpartition("->")
    if not arrow:
        raise DataError(f"{place}: must have its label in 'gt_score' or behind '->' in 'id', got {sorted(record)}")
    return {"name": names[0], "mos": label}
