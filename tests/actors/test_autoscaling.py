"""Ray's own autoscaler on nodes that are processes of this machine: the pool grows, steps get shorter, it shrinks.

What the cluster can never give is refused."""

import json
import re
import subprocess
import sys

import pytest
from quickstart_runs import REPOSITORY

pytestmark = pytest.mark.timeout(1000)


def test_the_autoscaler_grows_the_pool_from_one_to_four_and_shrinks_it_again() -> None:
    benchmark = [sys.executable, "benchmarks/elastic.py", "--images", "16", "--seconds-per-image", "0.15"]
    done = subprocess.run(benchmark, cwd=REPOSITORY, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    *rows, refusal = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    first, last = rows[0], rows[-1]
    longs = [row for row in rows if row["tokens"] == first["tokens"]]
    assert (first["rollout/workers_ready"], first["nodes"]) == (1, 1)
    assert (longs[-1]["rollout/workers_ready"], longs[-1]["nodes"]) == (4, 4)
    assert longs[-1]["rollout/workers_joined"] == 4
    assert any(re.fullmatch("the autoscaler is starting [123] worker", row["autoscaler"]) for row in longs)
    assert last["autoscaler"] == "the autoscaler is starting no node"
    assert longs[-1]["seconds"] < first["seconds"]  # 0.9 s instead of 2.7 s where nothing else runs
    assert (last["rollout/workers_ready"], last["nodes"]) == (1, 1)
    assert last["rollout/workers_released"] == 3
    assert last["rollout/workers_replaced"] == 0
    # Twice of what may ever exist, once the pool has gone: whether nodes of before are still there is a matter of luck.
    assert refusal["refused"].startswith("the run needs 8 CPU (1 on one node), the cluster has ")
    assert "its autoscaler reports that all nodes it may start would not do" in refusal["refused"]
    assert refusal["after_seconds"] < 240  # and not the 300 s of cluster.wait_s; 15 s where nothing else runs
