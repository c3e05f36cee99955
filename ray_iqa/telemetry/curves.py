"""Curves of a job whose steps are no training steps of a policy: JSON lines and TensorBoard scalars."""

import math
from pathlib import Path

from ray_iqa.telemetry.event_file import EventFile, summaries
from ray_iqa.telemetry.json_lines import JsonLinesLog


class Curves:
    """``metrics.jsonl`` and ``tensorboard/`` of a run directory.

    Args:
        run_dir: it exists.
        num_done: steps that a resumed job keeps; rows after them are dropped.
    """

    def __init__(self, run_dir: Path, num_done: int) -> None:
        self._lines = JsonLinesLog(run_dir / "metrics.jsonl")
        self._lines.truncate_after(num_done if num_done else -1)
        self._folder, self._purge_step = run_dir / "tensorboard", num_done + 1 if num_done else 0
        self._file: EventFile | None = None

    def log(self, step: int, figures: dict[str, float]) -> None:
        """One row; figures that are not finite are left out of TensorBoard."""
        self._lines.log(step, figures)
        if self._file is None:
            self._file = EventFile(self._folder, self._purge_step)
        summary = summaries()
        for name, value in figures.items():
            if math.isfinite(value):
                self._file.add(summary.scalar(name, value), step)
        self._file.flush()

    def close(self) -> None:
        """Close both."""
        self._lines.close()
        if self._file is not None:
            self._file.close()
