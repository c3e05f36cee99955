"""Label lists (txt) and training files (jsonl) of VisualQuality-R1.

A list has a line per image, columns between blanks: ``name mos``, ``name mos std``, ``ref name mos`` or
``ref name mos std``. Traps: a blank in a name breaks a line; the published lists rescale the MOS of AGIQA-3K and SPAQ
but keep their std in old units, so a std is read only when the caller says that it is in the unit of the MOS.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ray_iqa.data.formats.source import Source, image_name
from ray_iqa.data.label_maps import rescaled
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.tables import read_table, read_words
from ray_iqa.errors import DataError
from ray_iqa.files import write_text

_FORM = "[reference] name mos [std] without blanks in names"
_ANSWER_TAGS = re.compile(r"</?answer>")


def read_lines(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, values) of the lines of a list: ``name``, ``mos``, ``mos_std`` and ``ref_id``, None where not told.

    Raises:
        DataError: names the line that is none of the four forms.
    """
    for place, *words in read_words(file, _FORM, (2, 3, 4)):
        match [_number(word) for word in words]:
            case [None, float(mos)]:
                yield place, {"name": words[0], "mos": mos, "mos_std": None, "ref_id": None}
            case [None, float(mos), float(std)]:
                yield place, {"name": words[0], "mos": mos, "mos_std": std, "ref_id": None}
            case [None, None, float(mos)]:
                yield place, {"name": words[1], "mos": mos, "mos_std": None, "ref_id": words[0]}
            case [None, None, float(mos), float(std)]:
                yield place, {"name": words[1], "mos": mos, "mos_std": std, "ref_id": words[0]}
            case _:
                raise DataError(f"{place}: must be {_FORM}, got {' '.join(words)!r}")


def read_txt(file: Path, source: Source, *, std_in_mos_units: bool = False) -> list[ManifestRow]:
    """Rows of a label list; the reference image, where there is one, is the content."""
    ignored = {} if std_in_mos_units else {"mos_std": None}
    return source.rows((place, line | ignored) for place, line in read_lines(file))


def write_txt(file: Path, rows: Sequence[ManifestRow], images: Path) -> None:
    """``name mos`` or, where every row has a spread, ``name mos std``; labels as they are.

    Raises:
        DataError: a name holds a blank, or lower is better, which the format cannot say.
    """
    with_std = all(row.mos_std is not None for row in rows)
    lines = []
    for row in rows:
        name = image_name(row, images)
        if name.split() != [name]:
            raise DataError(f"an image name in a label list must not hold blanks, got {name!r}")
        if row.direction == "lower":
            raise DataError(f"a label list is read as higher-is-better, but dataset {row.dataset!r} is not; use jsonl")
        lines.append(f"{name} {row.mos!r} {row.mos_std!r}\n" if with_std else f"{name} {row.mos!r}\n")
    write_text(file, "".join(lines))


def read_jsonl(file: Path, source: Source) -> list[ManifestRow]:
    """Rows of a training file; ``dataset_name`` there is the dataset here."""
    return source.rows((place, _named(place, record)) for place, record in read_table(file))


def write_jsonl(file: Path, rows: Sequence[ManifestRow], images: Path, question: str) -> None:
    """A training file with labels rescaled to 1 to 5, higher is better, as the format has them.

    Args:
        file: written whole.
        rows: labels on any scale.
        images: folder that names are relative to.
        question: what the human asks, the same for every image.
    """
    lines = []
    for number, row in enumerate(rescaled(rows), start=1):
        record = {
            "id": number,
            "dataset_name": row.dataset,
            "image": [image_name(row, images)],
            "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": row.mos}],
        }
        lines.append(json.dumps(record) + "\n")
    write_text(file, "".join(lines))


def _named(place: str, record: Mapping[str, Any]) -> Mapping[str, object]:
    try:
        image, (_, answer) = record["image"], (turn["value"] for turn in record["conversations"])
        (name,) = [image] if isinstance(image, str) else image
        dataset = record["dataset_name"]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{place}: must have one image, dataset_name and conversations of a question and an answer, "
            f"got {sorted(record)}"
        ) from error
    mos = _ANSWER_TAGS.sub("", answer).strip() if isinstance(answer, str) else answer
    return {"name": name, "mos": mos, "dataset": dataset}


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
