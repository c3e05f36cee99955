"""Everything a run leaves behind for people to look at, behind one sink."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from ray_iqa.config.train import ScheduleConfig
from ray_iqa.telemetry.curves import Curves
from ray_iqa.telemetry.live_view import TerminalView
from ray_iqa.telemetry.rollout_log import RolloutLog
from ray_iqa.telemetry.throughput import throughput
from ray_iqa.types import Answer, ParseFailure, StepRecord


class Telemetry:
    """Curves, Parquet of rollouts and the terminal; a ``MetricSink``.

    Args:
        curves: Opens those of the run after a step, 0 anew.
        run_dir: Existing folder; ``rollouts/`` goes there.
        schedule: Says where the run ends and how many steps of rollouts are kept.
        parse: The reward's parser, for the reason of answers that did not parse.
    """

    def __init__(
        self,
        curves: Callable[[int], Curves],
        run_dir: Path,
        schedule: ScheduleConfig,
        parse: Callable[[str, str | None], Answer | ParseFailure],
    ) -> None:
        self._open_curves, self._opened = curves, ExitStack()
        self._rollouts = RolloutLog(run_dir / "rollouts", parse, schedule.keep_rollouts)
        self._terminal = TerminalView(run_dir.resolve().name, schedule.num_steps)

    def resume(self, step: int) -> None:
        """Forget everything after ``step``, the one restored (0: everything); before the first ``log``."""
        self._rollouts.remove_after(step)
        self._curves = self._opened.enter_context(closing(self._open_curves(step)))
        self._terminal.resume(step)

    def log_start(self, metrics: dict[str, float]) -> None:
        """Record the validation before the first step, as step 0."""
        self._curves.log(0, metrics)
        self._terminal.log(0, metrics)

    def log(self, record: StepRecord) -> None:
        """Record one step, ``throughput/*`` added to its metrics."""
        metrics = record.metrics | throughput(record.metrics)
        self._rollouts.log(record)
        self._curves.log(record.step, metrics, record)
        self._terminal.log(record.step, metrics)

    def close(self) -> None:
        """Write out what is queued and leave the terminal in order."""
        self._terminal.close()
        self._opened.close()
