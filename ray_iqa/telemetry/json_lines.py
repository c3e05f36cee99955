"""One JSON object per step in ``metrics.jsonl``."""

import json
import math
from pathlib import Path
from typing import Any

from ray_iqa.errors import CheckpointError, DataError
from ray_iqa.files import read_text, write_text


class JsonLinesLog:
    """Appends a step's metrics as one line; NaN and infinities become null.

    Every line is flushed to the operating system, so a killed process loses none that it wrote.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a", encoding="utf-8")

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Append ``{"step": step, **metrics}``."""
        row = {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}
        self._file.write(json.dumps({"step": step, **row}) + "\n")
        self._file.flush()

    def truncate_after(self, step: int) -> None:
        """Drop the rows after ``step`` (0: all rows), and a half-written last line; all or nothing.

        Raises:
            CheckpointError: a line that is not the last one is no row of metrics.
        """
        self._file.close()
        try:
            kept = [row for row in read_metrics(self._path) if row["step"] <= step] if step else []
        except DataError as error:
            raise CheckpointError(f"{error}; remove that line or start a new run directory") from error
        write_text(self._path, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = self._path.open("a", encoding="utf-8")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(file: Path) -> list[dict[str, Any]]:  # Any: JSON
    """The rows of a ``metrics.jsonl``; the last line of a running or killed job may be half written and is left out.

    Raises:
        DataError: no such file, or a line that is complete is no row of metrics.
    """
    text = read_text(file)
    rows = []
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        try:
            row = json.loads(line)
            rows.append({"step": int(row["step"])} | row)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file} line {number} must be a JSON object with a step, found {line[:80]!r}") from error
    return rows
