"""Gauges of a run as Prometheus reads them from a real node."""

import math
import shutil
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray

from actors.training.dashboard_metrics import DashboardMetrics
from ray_iqa.types import RewardTable, StepRecord


class Kept:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def resume(self, step: int) -> None:
        self.seen.append(("resume", step))

    def log(self, record: StepRecord) -> None:
        self.seen.append(("log", record.step))


@pytest.fixture(scope="module")
def metrics_url() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        _metrics_export_port=port,
        _system_config={"metrics_report_interval_ms": 500},
    )
    yield f"http://127.0.0.1:{port}/metrics"
    ray.shutdown()


def _record(step: int, metrics: dict[str, float]) -> StepRecord:
    none = np.zeros((0, 1), dtype=np.float32)
    kept = np.zeros((0, 1), dtype=bool)
    table = RewardTable(
        scores=none,
        parsed=kept,
        terms={"fidelity": none, "format": none},
        rewards=none,
        trainable=kept,
        opposed=np.zeros(0, dtype=bool),
        num_pairs=0,
        mean_label_gap=math.nan,
    )
    return StepRecord(step=step, metrics=metrics, groups=(), table=table, advantages=none)


def _exported(url: str, until: str) -> dict[str, float]:
    """Series of the run, once one of them is called ``until``."""
    deadline = time.monotonic() + 300
    while True:
        try:
            text = urllib.request.urlopen(url, timeout=5).read().decode()
        except OSError:
            text = ""
        lines = [line for line in text.splitlines() if 'run="kadid"' in line]
        series = {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines}
        if until in series:
            return series
        assert time.monotonic() < deadline, f"no {until} among {sorted(series)}"
        time.sleep(0.3)


def test_the_newest_row_is_exported_and_every_row_kept(metrics_url: str, tmp_path: Path) -> None:
    kept = Kept()
    (tmp_path / "kadid").mkdir()
    sink = DashboardMetrics(kept, tmp_path / "kadid")
    sink.resume(2)
    sink.log(_record(3, {"time/step": 4.0, "completion/tokens": 1000.0, "policy/staleness": 1.0}))
    late = {
        "time/step": 2.0,
        "completion/tokens": 1000.0,
        "policy/staleness": math.nan,
        "rollout/workers_replaced": 2.0,
        "policy/skipped": 1.0,
    }
    sink.log(_record(4, late))
    assert kept.seen == [("resume", 2), ("log", 3), ("log", 4)]
    series = _exported(metrics_url, "ray_iqa_worker_restarts")
    assert series["ray_iqa_step"] == 4
    assert series["ray_iqa_tokens_per_second"] == 500
    assert series["ray_iqa_weight_version_lag"] == 1  # a value that does not exist changes nothing
    assert series["ray_iqa_worker_restarts"] == 2
    assert series["ray_iqa_update_skipped"] == 1
    assert 0 < series["ray_iqa_run_dir_free_bytes"] <= shutil.disk_usage(tmp_path).total
    assert "ray_iqa_validation_srcc" not in series
