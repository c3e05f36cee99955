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

    Args:
        project: ``PROJECT`` or ``ENTITY/PROJECT``.
        run_dir: existing folder, whose name the run has; offline runs are kept in its folder ``wandb``.
        config: settings of the run, shown beside its curves.
    """

    def __init__(self, project: str, run_dir: Path, config: dict[str, Any]) -> None:  # Any: JSON values
        self._project, self._run_dir, self._config = project, run_dir, config
        self._run: Any = None  # of a library that is imported when it is needed

    def resume(self, step: int) -> None:
        """See `Tracker.resume`; W&B keeps the first row of a step that is repeated after a crash, with equal values.

        Raises:
            ResourceError: the service cannot be reached, or refuses.
        """
        import wandb

        file = self._run_dir / _ID
        if step == 0 or not file.exists():
            write_text(file, uuid.uuid4().hex[:12])
        entity, _, project = self._project.rpartition("/")
        try:
            self._run = wandb.init(
                project=project,
                entity=entity or None,
                id=file.read_text(encoding="utf-8"),
                name=self._run_dir.name,
                dir=str(self._run_dir),
                config=self._config,
                resume="allow",
                settings=wandb.Settings(console="off", silent=True, disable_git=True),  # run_dir is no repository
            )
        except wandb.Error as error:
            raise _refused(self._project, error) from error

    def log_start(self, metrics: dict[str, float]) -> None:
        """See `Tracker.log_start`."""
        self._log(0, metrics)

    def log(self, record: StepRecord, metrics: dict[str, float]) -> None:
        """See `Tracker.log`."""
        import wandb

        shown = {}
        if "eval/srcc" in metrics:
            for name, picture, caption in examples(record):
                shown[name] = wandb.Html(caption) if picture is None else wandb.Image(picture, caption=caption)
        self._log(record.step, metrics, shown)

    def close(self) -> None:
        """See `Tracker.close`."""
        if self._run is not None:
            self._run.finish()

    def _log(self, step: int, metrics: dict[str, float], shown: dict[str, Any] | None = None) -> None:
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        self._run.log({**finite, **(shown or {})}, step=step)


def check_login(project: str) -> None:
    """Ask for an account now, not when engines are up.

    Raises:
        ModuleNotFoundError: the library is not installed.
        ResourceError: there is no account, and nobody at the terminal who could give one.
    """
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
