"""The timeline of actors on a real cluster."""

import json
import time
from pathlib import Path

import pytest
import ray

from actors.cluster.timeline import write_timeline


@pytest.mark.usefixtures("joined_ray")
def test_every_call_of_an_actor_is_in_the_timeline(tmp_path: Path) -> None:
    class Sleeper:  # in here, workers get it by value
        def nap(self) -> None:
            time.sleep(0.2)

    sleeper = ray.remote(Sleeper).remote()
    ray.get([sleeper.nap.remote() for _ in range(3)])
    deadline = time.monotonic() + 300
    naps: list[dict[str, float]] = []
    while len(naps) < 3:
        assert time.monotonic() < deadline, "Ray reports what happened within seconds"
        time.sleep(0.5)
        write_timeline(tmp_path)
        events = json.loads((tmp_path / "timeline.json").read_text())
        naps = [event for event in events if event["name"].endswith("nap") and event["ph"] == "X"]
    assert all(event["dur"] >= 0.2e6 for event in naps)  # microseconds


def test_a_cluster_that_is_gone_takes_its_timeline_along(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ray.shutdown()
    write_timeline(tmp_path)
    assert "timeline.json" in caplog.text
