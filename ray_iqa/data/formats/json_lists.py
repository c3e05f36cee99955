"""One JSON list of objects per file, as Q-Align and DeQA-Score keep their metas."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ray_iqa.data.unique import parse_json
from ray_iqa.errors import DataError
from ray_iqa.files import read_text, write_text


def read_json(file: Path) -> object:
    """The content of a JSON file.

    Raises:
        DataError: there is none, it is not JSON, or an object in it has a key twice.
    """
    return parse_json(read_text(file), file.name)


def json_records(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(place, record) of each object of the list.

    Raises:
        DataError: the content is not a list of objects.
    """
    content = read_json(file)
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise DataError(f"{file} must hold a list of objects")
    for number, record in enumerate(content, start=1):
        yield f"{file.name} entry {number}", record


def write_json(file: Path, content: object) -> None:
    """Indented, as the peers write it."""
    write_text(file, json.dumps(content, indent=4) + "\n")
