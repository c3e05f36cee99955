"""One JSON object per step in ``metrics.jsonl``."""

import json
import math
from pathlib import Path

from ray_iqa.errors import CheckpointError
from ray_iqa.files import write_text


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
        kept = [line for line in self._complete_lines() if self._step_of(line) <= step] if step else []
        write_text(self._path, "".join(kept))
        self._file = self._path.open("a", encoding="utf-8")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _complete_lines(self) -> list[str]:
        lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        return lines[:-1] if lines and not lines[-1].endswith("\n") else lines

    def _step_of(self, line: str) -> int:
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"every line of {self._path} must be a JSON object with a step, found {line[:80]!r}; "
                "remove that line or start a new run directory"
            ) from error
