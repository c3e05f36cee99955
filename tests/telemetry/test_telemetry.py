import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ray_iqa.answers.parse import parse_by_question
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.train import ScheduleConfig
from ray_iqa.protocols import MetricSink
from ray_iqa.telemetry.curves import Curves
from ray_iqa.telemetry.telemetry import Telemetry
from ray_iqa.types import StepRecord

MakeStep = Callable[[int, dict[str, float]], StepRecord]


def test_a_resumed_run_leaves_the_same_trace_as_an_uninterrupted_one(tmp_path: Path, make_step: MakeStep) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    for restored, steps in ((0, range(1, 5)), (2, range(3, 7))):
        telemetry = Telemetry(
            partial(Curves, run_dir),
            run_dir,
            ScheduleConfig(num_steps=6),
            partial(parse_by_question, prompts={None: prompt_by_id("thinking")}, style="strict"),
        )
        telemetry.resume(restored)
        sink: MetricSink = telemetry
        for step in steps:
            sink.log(make_step(step, {"reward/mean": float(step), "completion/tokens": 12.0, "time/step": 2.0}))
        telemetry.close()

    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {row["throughput/tokens_per_s"] for row in rows} == {6.0}
    assert sorted(set(pd.read_parquet(run_dir / "rollouts").step)) == [1, 2, 3, 4, 5, 6]
    events = EventAccumulator(str(run_dir / "tensorboard")).Reload()
    for name in ("reward/mean", "throughput/tokens_per_s"):
        assert [(event.step, event.value) for event in events.Scalars(name)] == [
            (row["step"], row[name]) for row in rows
        ]
