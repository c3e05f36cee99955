"""Everything a run leaves behind for people to look at, behind one sink."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ray_iqa.telemetry.json_lines import JsonLinesLog
from ray_iqa.telemetry.live_view import TerminalView
from ray_iqa.telemetry.rollout_log import RolloutLog
from ray_iqa.telemetry.tensorboard import TensorBoardLog
from ray_iqa.telemetry.throughput import throughput
from ray_iqa.telemetry.tracker import Tracker
from ray_iqa.types import Answer, ParseFailure, StepRecord


class Telemetry:
    """JSON lines, Parquet of rollouts, TensorBoard and the terminal; a ``MetricSink``.

    Args:
        run_dir: Existing folder; ``metrics.jsonl``, ``rollouts/`` and ``tensorboard/`` go there.
        num_steps: Where the run ends.
        parse: The reward's parser, for the reason of answers that did not parse.
        trackers: Further places beside TensorBoard.
    """

    def __init__(
        self,
        run_dir: Path,
        num_steps: int,
        parse: Callable[[str, str | None], Answer | ParseFailure],
        trackers: Sequence[Tracker] = (),
    ) -> None:
        self._json_lines = JsonLinesLog(run_dir / "metrics.jsonl")
        self._rollouts = RolloutLog(run_dir / "rollouts", parse)
        self._trackers: list[Tracker] = [TensorBoardLog(run_dir / "tensorboard"), *trackers]
        self._terminal = TerminalView(run_dir.resolve().name, num_steps)

    def resume(self, step: int) -> None:
        """Forget everything after ``step``, the one restored (0: everything); before the first ``log``."""
        self._json_lines.truncate_after(step)
        self._rollouts.remove_after(step)
        for tracker in self._trackers:
            tracker.resume(step)
        self._terminal.resume(step)

    def log_start(self, metrics: dict[str, float]) -> None:
        """Record the validation before the first step, as step 0."""
        for tracker in self._trackers:
            tracker.log_start(metrics)
        self._json_lines.log(0, metrics)
        self._terminal.log(0, metrics)

    def log(self, record: StepRecord) -> None:
        """Record one step, ``throughput/*`` added to its metrics."""
        metrics = record.metrics | throughput(record.metrics)
        self._rollouts.log(record)
        for tracker in self._trackers:
            tracker.log(record, metrics)
        self._json_lines.log(record.step, metrics)
        self._terminal.log(record.step, metrics)

    def close(self) -> None:
        """Write out what is queued and leave the terminal in order."""
        self._terminal.close()
        for tracker in self._trackers:
            tracker.close()
        self._json_lines.close()
