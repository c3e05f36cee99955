"""Curves of a job whose steps are no training steps of a policy: JSON lines and TensorBoard scalars."""

from pathlib import Path

from ray_iqa.telemetry.json_lines import JsonLinesLog
from ray_iqa.telemetry.tensorboard import TensorBoardLog


class Curves:
    """``metrics.jsonl`` and ``tensorboard/`` of a run directory.

    Args:
        run_dir: it exists.
        num_done: steps that a resumed job keeps; rows after them are dropped.
    """

    def __init__(self, run_dir: Path, num_done: int) -> None:
        self._lines = JsonLinesLog(run_dir / "metrics.jsonl")
        self._lines.truncate_after(num_done if num_done else -1)
        self._tensorboard = TensorBoardLog(run_dir / "tensorboard")
        self._tensorboard.resume(num_done)

    def log(self, step: int, figures: dict[str, float]) -> None:
        """One row; figures that are not finite are left out of TensorBoard."""
        self._lines.log(step, figures)
        self._tensorboard.log_scalars(step, figures).flush()

    def close(self) -> None:
        """Close both."""
        self._lines.close()
        self._tensorboard.close()
