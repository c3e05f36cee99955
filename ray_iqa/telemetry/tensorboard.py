"""TensorBoard events: scalars, score histograms, a few images with their answers."""

import math
from pathlib import Path

import numpy as np

from ray_iqa.telemetry.event_file import EventFile, summaries
from ray_iqa.telemetry.tracker import examples
from ray_iqa.types import StepRecord


class TensorBoardLog:
    """A `Tracker` that writes a new event file into ``folder``; in older ones steps after ``num_done`` are hidden."""

    def __init__(self, folder: Path, num_done: int) -> None:
        # A fresh run purges too, from step 0: TensorBoard heeds such marks from the second on only.
        self._file = EventFile(folder, num_done + 1 if num_done else 0)

    def log(self, step: int, metrics: dict[str, float], record: StepRecord | None) -> None:
        """See `Tracker.log`; on disk on return, for a checkpoint may follow."""
        for name, value in metrics.items():
            if math.isfinite(value):
                self._file.add(step, summary=summaries().scalar(name, value))
        if record is not None:
            _log_answers(self._file, record)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _log_answers(file: EventFile, record: StepRecord) -> None:
    summary, scores = summaries(), record.table.scores[record.table.parsed]
    if scores.size:
        file.add(record.step, summary=summary.histogram("scores", scores, bins="auto"))
    for name, picture, caption in examples(record):
        if picture is not None:
            file.add(record.step, summary=summary.image(name, np.asarray(picture), dataformats="HWC"))
        file.add(record.step, summary=summary.text(name, caption))
