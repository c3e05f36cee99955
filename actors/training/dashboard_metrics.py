"""What a training run shows on Ray's dashboard and to Prometheus: the newest row of its log, in Ray's own gauges.

Ray exports them at every node's metrics port with the prefix ``ray_``. Nothing is measured here; names on the left are
those of ``metrics.jsonl``. `actors.training.rollout_pool` sets one more, the queue of the step in hand.
"""

import math
import shutil
from pathlib import Path

from ray.util.metrics import Gauge

from ray_iqa.protocols import MetricSink
from ray_iqa.types import StepRecord

_GAUGES = {
    "time/step": ("iqa_step_seconds", "one whole step"),
    "time/rollout": ("iqa_rollout_seconds", "waiting for the groups of a step"),
    "time/learn": ("iqa_learn_seconds", "the learner's update"),
    "time/publish": ("iqa_publish_seconds", "weights to all rollout workers"),
    "completion/tokens": ("iqa_step_tokens", "tokens sampled for a step"),
    "policy/skipped": ("iqa_update_skipped", "updates of a step that were not taken, as a share of them"),
    "policy/staleness": ("iqa_weight_version_lag", "learner's policy version minus that of the samples it trains on"),
    "rollout/workers_ready": ("iqa_workers_ready", "rollout workers with the current weights"),
    "rollout/workers_arriving": ("iqa_workers_arriving", "rollout workers that wait for a node, start or load weights"),
    "rollout/workers_replaced": ("iqa_worker_restarts", "rollout workers replaced since the run began"),
    "reward/mean": ("iqa_reward", "mean reward of a step"),
    "eval/srcc": ("iqa_validation_srcc", "mean SRCC over the validation data sets"),
}


class DashboardMetrics:
    """`protocols.MetricSink` that shows each row and hands it on.

    Args:
        inner: keeps the rows.
        run_dir: whose name is the tag ``run`` of all series, which tells runs on one cluster apart.
    """

    def __init__(self, inner: MetricSink, run_dir: Path) -> None:
        self._inner, self._run_dir = inner, run_dir
        self._gauges = {name: Gauge(called, what, tag_keys=("run",)) for name, (called, what) in _GAUGES.items()}
        self._step = Gauge("iqa_step", "the newest step", tag_keys=("run",))
        self._tokens = Gauge("iqa_tokens_per_second", "sampled tokens by seconds of whole steps", tag_keys=("run",))
        self._free = Gauge("iqa_run_dir_free_bytes", "free space where the run writes", tag_keys=("run",))
        for gauge in (*self._gauges.values(), self._step, self._tokens, self._free):
            gauge.set_default_tags({"run": run_dir.name})

    def resume(self, step: int) -> None:
        """See `protocols.MetricSink.resume`."""
        self._inner.resume(step)

    def log_start(self, metrics: dict[str, float]) -> None:
        """See `protocols.MetricSink.log_start`."""
        self._inner.log_start(metrics)

    def log(self, record: StepRecord) -> None:
        """See `protocols.MetricSink.log`; values that do not exist leave their gauge as it was."""
        self._inner.log(record)
        row = record.metrics
        self._step.set(record.step)
        self._free.set(shutil.disk_usage(self._run_dir).free)
        for name, gauge in self._gauges.items():
            if math.isfinite(row.get(name, math.nan)):
                gauge.set(row[name])
        if row.get("time/step", 0.0) > 0.0:
            self._tokens.set(row.get("completion/tokens", 0.0) / row["time/step"])
