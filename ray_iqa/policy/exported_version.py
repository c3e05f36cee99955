"""How much training an exported policy has seen, in a file beside its weights."""

import json
from pathlib import Path

from ray_iqa.errors import DataError
from ray_iqa.files import write_text
from ray_iqa.runs.remote_files import RemoteFolder
from ray_iqa.types import Progress

VERSION_FILE = "policy_version.json"
"""In every exported policy; other programs pass over it."""


def write_policy_version(folder: Path, progress: Progress) -> None:
    """Leave updates, step and newest validation SRCC in a Hugging Face folder."""
    write_text(folder / VERSION_FILE, version_text(progress))


def version_text(progress: Progress) -> str:
    """Content of `VERSION_FILE`."""
    return json.dumps(progress.to_json()) + "\n"


def read_policy_version(model: str) -> int:
    """The number in a model folder; 0 for a model that no run of ours has trained.

    Raises:
        DataError: the file holds something else.
    """
    file = Path(model) / VERSION_FILE
    if not file.is_file():
        return 0
    try:
        return int(json.loads(file.read_text(encoding="utf-8"))["policy_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f'{file} must hold {{"policy_version": N}}, N the number of updates: {error}') from error


def exported_version(target: str) -> int | None:
    """The number in a policy exported to a folder or URI; None where there is none."""
    try:
        return int(json.loads(RemoteFolder(target).read(VERSION_FILE))["policy_version"])  # a path is one of the URIs
    except (ValueError, KeyError, TypeError):
        return None
