"""Weights & Biases, through its own library; its own variables (WANDB_MODE, WANDB_API_KEY, ...) hold."""

import math
import uuid
from pathlib import Path
from typing import Any

from ray_iqa.errors import ResourceError
from ray_iqa.files import write_text
from ray_iqa.telemetry.tracker import examples
from ray_iqa.types import StepRecord

_ID = "wandb_id"
"""File of a run directory with the id of its W&B run, by which a resumed one continues its curves."""


class WandbTracker:
    """A `Tracker` on one W&B run per run directory.

    W&B keeps the first row of a step that is repeated after a crash, with equal values.

    Args:
        project: ``PROJECT`` or ``ENTITY/PROJECT``.
        run_dir: existing folder, whose name the run has; offline runs are kept in its folder ``wandb``.
        num_done: the step that the run continues after; 0 begins another one.
        config: settings of the run, shown beside its curves.

    Raises:
        ResourceError: the service cannot be reached, or refuses.
    """

    def __init__(self, project: str, run_dir: Path, num_done: int, config: dict[str, Any]) -> None:  # Any: JSON values
        import wandb

        file = run_dir / _ID
        if num_done == 0 or not file.exists():
            write_text(file, uuid.uuid4().hex[:12])
        entity, _, name = project.rpartition("/")
        try:
            self._run = wandb.init(
                project=name,
                entity=entity or None,
                id=file.read_text(encoding="utf-8"),
                name=run_dir.name,
                dir=str(run_dir),
                config=config,
                resume="allow",
                settings=wandb.Settings(console="off", silent=True, disable_git=True),  # run_dir is no repository
            )
        except wandb.Error as error:
            raise _refused(project, error) from error

    def log(self, step: int, metrics: dict[str, float], record: StepRecord | None) -> None:
        """See `Tracker.log`."""
        import wandb

        row: dict[str, Any] = {}  # Any: W&B's types
        row |= {name: value for name, value in metrics.items() if math.isfinite(value)}
        if record is not None:
            if record.table.parsed.any():
                row["scores"] = wandb.Histogram(record.table.scores[record.table.parsed].tolist())
            for name, picture, caption in examples(record):
                row[name] = wandb.Html(caption) if picture is None else wandb.Image(picture, caption=caption)
        self._run.log(row, step=step)

    def close(self) -> None:
        """See `Tracker.close`."""
        self._run.finish()


def check_login(project: str | None) -> None:
    """Where a project is named, ask for an account now, not when engines are up.

    Raises:
        ModuleNotFoundError: the library is not installed.
        ResourceError: there is no account, and nobody at the terminal who could give one.
    """
    if project is None:
        return
    import wandb

    try:
        wandb.login()
    except wandb.Error as error:
        raise _refused(project, error) from error


def _refused(project: str, error: Exception) -> ResourceError:
    return ResourceError(
        f"wandb: {project} must be a project of Weights & Biases that this machine may write, got "
        f"{str(error).splitlines()[0]!r}; WANDB_MODE=offline keeps the curves in run_dir"
    )
