"""Four real engines instead of one, and one of them stopped in the middle of a step: the same result."""

import json
import signal
import time
from pathlib import Path

import pytest
from chaos import descendants
from quickstart_runs import Start, await_step, command, in_background, rows

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]


def test_a_stopped_engine_is_replaced_and_four_give_what_one_gives(
    start: Start, undisturbed: Path, tmp_path: Path
) -> None:
    four = ["rollout.min_workers=4", "rollout.max_workers=4", "cluster.cpus_per_actor=0.25"]
    run = in_background(command(start, tmp_path, *four, "rollout.sample_deadline_s=20"))
    try:
        await_step(run, tmp_path, 3)
        deadline = time.monotonic() + 300
        while not (engines := [process for process, title in descendants() if title == "ray::RolloutWorker.sample"]):
            assert time.monotonic() < deadline, "no engine samples"
            time.sleep(0.005)
        engines[0].send_signal(signal.SIGSTOP)
        assert run.wait(timeout=900) == 0
    finally:
        run.kill()
    assert rows(tmp_path) == rows(undisturbed)
    assert replaced(tmp_path) == 1


def replaced(run_dir: Path) -> int:
    last = (run_dir / "metrics.jsonl").read_text().splitlines()[-1]
    return int(json.loads(last)["rollout/workers_replaced"])
