"""TensorBoard events: scalars, score histograms, a few images with their answers."""

import math
from pathlib import Path

import numpy as np

from ray_iqa.data.images import picture_or_reason
from ray_iqa.telemetry.event_file import EventFile, summaries
from ray_iqa.types import RolloutGroup, StepRecord

NUM_EXAMPLES = 4
THUMBNAIL = (256, 256)  # pixels; keeps event files small


class TensorBoardLog:
    """Writes event files into ``folder``, opened with the first step.

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

    def log_scalars(self, step: int, metrics: dict[str, float]) -> EventFile:
        """Write the finite ones of ``metrics``; the file they are in."""
        if self._file is None:
            self._file = EventFile(self._folder, self._purge_step)
        for name, value in metrics.items():
            if math.isfinite(value):
                self._file.add(step, summary=summaries().scalar(name, value))
        return self._file

    def purge_after(self, step: int) -> None:
        """Hide the events of steps after ``step``; to be called before the first ``log``."""
        assert self._file is None, "purge_after must come before the first log"
        self._purge_step = step + 1 if step else 0

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _log_examples(file: EventFile, record: StepRecord) -> None:
    summary = summaries()
    for index, group in enumerate(record.groups[:NUM_EXAMPLES]):
        picture = picture_or_reason(group.image.image_path)
        if not isinstance(picture, str):  # gone since it was sampled, or never readable: the caption is left
            picture.thumbnail(THUMBNAIL)
            file.add(record.step, summary=summary.image(f"examples/{index}", np.asarray(picture), dataformats="HWC"))
        file.add(record.step, summary=summary.text(f"examples/{index}", _caption(group, record, index)))


def _caption(group: RolloutGroup, record: StepRecord, index: int) -> str:
    image = group.image
    direction = "higher" if image.higher_is_better else "lower"
    lines = [f"**{image.dataset} / {image.image_id}**, MOS {image.mos:g} ({direction} is better)"]
    for k, completion in enumerate(group.completions):
        score, reward = record.table.scores[index, k], record.table.rewards[index, k]
        lines.append(f"score {score:.2f}, reward {reward:.2f}:" if math.isfinite(score) else "no score:")
        lines.append("\n".join(f"    {line}" for line in completion.text.splitlines()))  # verbatim in Markdown
    return "\n\n".join(lines)
