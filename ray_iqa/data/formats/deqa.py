"""Metas of DeQA-Score, also used by Q-Insight and RALI.

A meta file is a JSON list per split with ``image``, ``gt_score``, ``std`` (both in the dataset's units) and the same
as ``gt_score_norm``, ``std_norm`` on 1 to 5. Beside them lie mos.json ({image: {mos, std}}) and split.json
({train: [...], test: [...]}), from which DeQA-Score's own script makes conversations and level probabilities.
"""

from collections.abc import Sequence
from pathlib import Path

from ray_iqa.data.formats.q_align import write_json
from ray_iqa.data.formats.source import Source, image_name
from ray_iqa.data.formats.split_lists import read_split_list, split_by_lists
from ray_iqa.data.label_maps import rescaled
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.tables import read_json, read_table
from ray_iqa.data.unique import once
from ray_iqa.errors import DataError


def read_deqa(file: Path, source: Source) -> list[ManifestRow]:
    """Rows of one meta file, which is one split; ``image`` is relative to the folder of all datasets."""
    return source.rows(
        (place, {"name": record["image"], "mos": record["gt_score"], "mos_std": record.get("std")})
        for place, record in read_table(file, ["image", "gt_score"])
    )


def read_deqa_base(folder: Path, source: Source) -> list[ManifestRow]:
    """Rows of mos.json with the splits of split.json, which lists whole names or, where they tell enough, file names.

    Raises:
        DataError: a file is missing or not of this form, or a listed name fits no row, or two equally well.
    """
    labels = read_json(folder / "mos.json")
    if not isinstance(labels, dict):
        raise DataError(f"mos.json of {folder} must hold one object")
    for name, label in labels.items():
        if not isinstance(label, dict) or "mos" not in label:
            raise DataError(f"mos.json entry {name!r}: must be an object with 'mos', got {label!r}")
    rows = source.rows(
        (f"mos.json entry {name!r}", {"name": name, "mos": label["mos"], "mos_std": label.get("std")})
        for name, label in labels.items()
    )
    return split_by_lists(rows, read_split_list(folder / "split.json"))


def write_deqa(folder: Path, rows: Sequence[ManifestRow], images: Path) -> None:
    """mos.json, split.json and one meta file per split into ``folder``.

    Raises:
        DataError: rows are of several datasets, whose labels one file would mix, or two rows show one file.
    """
    if len({row.dataset for row in rows}) != 1:
        raise DataError("a DeQA-Score folder holds one dataset; convert the datasets one by one")
    names = [image_name(row, images) for row in rows]
    splits = sorted({row.split for row in rows if row.split is not None})
    labels = ({"mos": row.mos, "std": row.mos_std} for row in rows)
    write_json(folder / "mos.json", once(zip((f"row {row.image_id!r}" for row in rows), names, labels, strict=True)))
    listed = [Path(name).name for name in names]
    if len(set(listed)) < len(listed):  # DeQA-Score's own script looks for file names, which would mix the splits
        listed = names
    members = {split: [name for name, row in zip(listed, rows, strict=True) if row.split == split] for split in splits}
    write_json(folder / "split.json", members)
    entries = [
        (row.split, _entry(name, row, normal)) for name, row, normal in zip(names, rows, rescaled(rows), strict=True)
    ]
    for split in splits:
        write_json(folder / f"{split}.json", [entry for own, entry in entries if own == split])


def _entry(name: str, row: ManifestRow, normal: ManifestRow) -> dict[str, object]:
    return {
        "id": f"{Path(name).name}->{row.mos}",
        "image": name,
        "gt_score": row.mos,
        "gt_score_norm": normal.mos,
        "std": row.mos_std,
        "std_norm": normal.mos_std,
    }
