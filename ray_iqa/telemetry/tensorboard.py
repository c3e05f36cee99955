"""TensorBoard events: scalars, score histograms, a few images with their answers."""

import math
from pathlib import Path

import numpy as np

from ray_iqa.telemetry.event_file import EventFile, summaries
from ray_iqa.telemetry.tracker import examples
from ray_iqa.types import StepRecord


class TensorBoardLog:
    """A `Tracker` that writes event files into ``folder``, opened with the first step.

    Images and their answers are written for steps that were validated, so their number follows
    ``schedule.evaluate_every``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._purge_step = 0  # also of a fresh run: TensorBoard purges from the second such mark on only
        self._file: EventFile | None = None

    def log(self, record: StepRecord, metrics: dict[str, float]) -> None:
        """Write one step, on disk on return, for a checkpoint may follow; metrics that are not finite are left out."""
        file = self.log_scalars(record.step, metrics)
        scores = record.table.scores[record.table.parsed]
        if scores.size:
            file.add(record.step, summary=summaries().histogram("scores", scores, bins="auto"))
        if "eval/srcc" in metrics:
            _log_examples(file, record)
        file.flush()

    def log_start(self, metrics: dict[str, float]) -> None:
        """See `Tracker.log_start`."""
        self.log_scalars(0, metrics)

    def log_scalars(self, step: int, metrics: dict[str, float]) -> EventFile:
        """Write the finite ones of ``metrics``; the file they are in."""
        if self._file is None:
            self._file = EventFile(self._folder, self._purge_step)
        for name, value in metrics.items():
            if math.isfinite(value):
                self._file.add(step, summary=summaries().scalar(name, value))
        return self._file

    def resume(self, step: int) -> None:
        """See `Tracker.resume`."""
        assert self._file is None, "resume must come before the first log"
        self._purge_step = step + 1 if step else 0

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _log_examples(file: EventFile, record: StepRecord) -> None:
    summary = summaries()
    for name, picture, caption in examples(record):
        if picture is not None:
            file.add(record.step, summary=summary.image(name, np.asarray(picture), dataformats="HWC"))
        file.add(record.step, summary=summary.text(name, caption))
