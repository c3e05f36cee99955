"""`ray-iqa data convert`: any known file to canonical rows, and canonical rows to any known file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ray_iqa.data.contents import with_contents
from ray_iqa.data.datasets.listing import NAMES, known_dataset, public_dataset
from ray_iqa.data.formats.deqa import read_deqa, read_deqa_base, write_deqa
from ray_iqa.data.formats.pyiqa import read_pyiqa, write_pyiqa
from ray_iqa.data.formats.q_align import read_q_align, write_q_align
from ray_iqa.data.formats.source import Source
from ray_iqa.data.formats.split_lists import split_by_pickle
from ray_iqa.data.formats.table import read_named
from ray_iqa.data.formats.visualquality_r1 import read_jsonl, read_txt, write_jsonl, write_txt
from ray_iqa.data.manifest import read_located, write_located
from ray_iqa.data.rows import Direction, ManifestRow
from ray_iqa.errors import DataError

WRITTEN = ("manifest", "pyiqa", "deqa", "q-align", "visualquality-r1-txt", "visualquality-r1-jsonl")
READ = (*WRITTEN, "table", *NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpretation:
    """What the reader is told about a file that does not say it itself."""

    dataset: str | None = None
    images: Path | None = None  # the folder that names are relative to; that of the file without it
    direction: Direction | None = None
    scale: tuple[float, float] | None = None
    split: str | None = None  # all rows are of this split
    split_column: str | None = None  # of a pyiqa csv
    split_pickle: Path | None = None  # of pyiqa
    split_number: int = 1  # of the splits in the pickle
    std_in_mos_units: bool = False  # of a VisualQuality-R1 list
    columns: dict[str, str] = field(default_factory=dict)  # of a table, by canonical name


def read_source(kind: str, file: Path, told: Interpretation) -> list[ManifestRow]:
    """Canonical rows with absolute paths; where the names of a public dataset tell the contents, with ``ref_id``.

    Args:
        kind: one of ``READ``; the name of a public dataset reads its folder as distributed.
        file: the file, or the folder of a public dataset or of a DeQA-Score base.
        told: what the file does not say.

    Raises:
        DataError: the file is not of this kind, or the direction of its labels is neither known nor told.
    """
    if kind == "manifest":
        rows = read_located(file)
    elif known_dataset(kind) is not None or kind not in READ:
        rows = public_dataset(kind).rows(file)
    else:
        rows = [
            row
            for row in _read_format(kind, file, told)
            if (known := known_dataset(row.dataset)) is None or not known.is_practice(row.image_id)
        ]
    if told.split_pickle is not None:
        rows = split_by_pickle(rows, told.split_pickle, told.split_number)
    return rows if told.split is None else [replace(row, split=told.split) for row in rows]


def write_target(kind: str, file: Path, rows: Sequence[ManifestRow], images: Path, question: str) -> None:
    """Write canonical rows.

    Args:
        kind: one of ``WRITTEN``.
        file: written whole; a folder for DeQA-Score.
        rows: with absolute paths.
        images: the folder that the image names of an interchange format are relative to.
        question: of a VisualQuality-R1 training file.

    Raises:
        DataError: the format cannot hold the rows.
    """
    writers: dict[str, Callable[[Path, Sequence[ManifestRow], Path], None]] = {
        "manifest": lambda file, rows, _: write_located(file, rows),
        "pyiqa": write_pyiqa,
        "deqa": write_deqa,
        "q-align": write_q_align,
        "visualquality-r1-txt": write_txt,
        "visualquality-r1-jsonl": partial(write_jsonl, question=question),
    }
    writers[kind](file, rows, images)


def _read_format(kind: str, file: Path, told: Interpretation) -> list[ManifestRow]:
    readers: dict[str, Callable[[Path, Source], list[ManifestRow]]] = {
        "pyiqa": partial(read_pyiqa, split_column=told.split_column),
        "deqa": read_deqa_base if file.is_dir() else read_deqa,
        "q-align": read_q_align,
        "visualquality-r1-txt": partial(read_txt, std_in_mos_units=told.std_in_mos_units),
        "visualquality-r1-jsonl": read_jsonl,
        "table": partial(read_named, columns=told.columns),
    }
    if (name := told.dataset) is None:
        raise DataError(
            f"{file} does not say which dataset its labels are of, and labels are compared within a dataset only; give "
            "--dataset NAME"
        )
    known = known_dataset(name)
    direction = told.direction or (known.direction if known is not None else None)
    if direction is None:
        raise DataError(f"which end of the labels of {name!r} is better? Give --direction higher or lower")
    source = Source(
        dataset=name,
        images=told.images or file.absolute().parent,
        direction=direction,
        scale=told.scale,
        licence=known.licence if known is not None else None,
    )
    return with_contents(readers[kind](file, source))
