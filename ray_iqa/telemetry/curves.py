"""Curves of a job: JSON lines, TensorBoard and, where a configuration names a project, Weights & Biases."""

from pathlib import Path

from ray_iqa.config.section import Section
from ray_iqa.telemetry.json_lines import JsonLinesLog
from ray_iqa.telemetry.tensorboard import TensorBoardLog
from ray_iqa.telemetry.tracker import Tracker
from ray_iqa.telemetry.wandb_tracker import WandbTracker
from ray_iqa.types import StepRecord


class Curves:
    """``metrics.jsonl`` and ``tensorboard/`` of a run directory, and its W&B run.

    Args:
        run_dir: it exists.
        num_done: the step that a job continues after, whose later rows are dropped; 0 drops all.
        config: of the job, which W&B shows.
        wandb: ``PROJECT`` or ``ENTITY/PROJECT``.

    Raises:
        CheckpointError: what is in ``metrics.jsonl`` are no rows.
        ResourceError: W&B cannot be reached, or refuses.
    """

    def __init__(self, run_dir: Path, num_done: int, config: Section | None = None, wandb: str | None = None) -> None:
        self._lines = JsonLinesLog(run_dir / "metrics.jsonl")
        self._lines.truncate_after(num_done)
        self._trackers: list[Tracker] = [TensorBoardLog(run_dir / "tensorboard", num_done)]
        if wandb is not None:
            settings = config.model_dump(mode="json") if config else {}
            self._trackers.append(WandbTracker(wandb, run_dir, num_done, settings))

    def log(self, step: int, metrics: dict[str, float], record: StepRecord | None = None) -> None:
        """One row; its line comes last, so that whoever reads it finds the rest."""
        for tracker in self._trackers:
            tracker.log(step, metrics, record)
        self._lines.log(step, metrics)

    def close(self) -> None:
        """Hand over what is queued."""
        for tracker in self._trackers:
            tracker.close()
        self._lines.close()
