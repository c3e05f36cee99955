"""What no number of nodes can give is refused in seconds, by what Ray's own autoscaler (its second kind) reports."""

import runpy
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from quickstart_runs import REPOSITORY, Start, command, run

pytestmark = pytest.mark.timeout(600)
WAIT_S = 300.0
autoscaling_cluster = runpy.run_path(str(REPOSITORY / "benchmarks" / "autoscaling_cluster.py"))["autoscaling_cluster"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A head without CPUs that may start two nodes of 2 CPUs.

    Only commands connect to it: Ray ends a process whose cluster has ended.
    """
    with autoscaling_cluster(0, 2, 2, idle_s=600, generation=2) as address:
        yield address


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("rollout.min_workers=5", "the run needs 6 CPU (1 on one node), the cluster has 0 (0 on one node)"),
        ("cluster.cpus_per_actor=3", "the run needs 6 CPU (3 on one node), the cluster has 0 (0 on one node)"),
    ],
    ids=["too many nodes", "too large a node"],
)
def test_what_the_nodes_can_never_give_is_refused_in_seconds(
    start: Start, address: str, tmp_path: Path, setting: str, sentence: str
) -> None:
    began = time.monotonic()
    done = run(command(start, tmp_path, f"cluster.address={address}", f"cluster.wait_s={WAIT_S}", setting))
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "all nodes it may start would not do" in done.stderr
    assert time.monotonic() - began < WAIT_S / 2
