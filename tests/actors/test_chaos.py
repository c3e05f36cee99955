"""Workers, nodes, learner ranks and drivers are killed with SIGKILL while a run goes on; its result does not change."""

import random
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from chaos import Chaos, several_nodes
from quickstart_runs import Start, command, rows, run
from ray.cluster_utils import Cluster

pytestmark = pytest.mark.timeout(1500)
CPUS = 2  # of each of two nodes: one holds the learner rank and the reserved worker, the other one more worker


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with several_nodes(2, CPUS) as cluster:
        yield cluster


def _disturbed(cluster: Cluster, arguments: list[str], run_dir: Path, plan: list[tuple[int, str]]) -> list[str]:
    elastic = ["rollout.max_workers=2", "cluster.max_restarts=20", "cluster.restart_backoff_s=0.01"]
    chaos = Chaos(cluster, [*arguments, *elastic], run_dir, seed=7, cpus=CPUS)
    chaos.run(plan)
    return chaos.killed


def _assert_the_same(disturbed: Path, undisturbed: Path) -> None:
    assert rows(disturbed) == rows(undisturbed)
    pd.testing.assert_frame_equal(
        pd.read_parquet(disturbed / "rollouts"), pd.read_parquet(undisturbed / "rollouts"), check_exact=True
    )


def test_what_no_node_can_hold_is_one_sentence_in_seconds(start: Start, cluster: Cluster, tmp_path: Path) -> None:
    settings = ("cluster.placement=colocated", "cluster.cpus_per_actor=1.5", f"cluster.address={cluster.address}")
    done = run(command(start, tmp_path, *settings))
    assert done.returncode == 1
    assert "one actor needs 3 CPU on one node, the nodes of this cluster have at most 2 CPU" in done.stderr


def test_one_kill_of_each_kind_leaves_no_trace_in_the_result(
    start: Start, cluster: Cluster, undisturbed: Path, tmp_path: Path
) -> None:
    plan = [(2, "RolloutWorker"), (3, "LearnerRank"), (5, "node"), (5, "driver")]
    assert len(_disturbed(cluster, command(start, tmp_path), tmp_path, plan)) == 4
    _assert_the_same(tmp_path, undisturbed)


def many_kills() -> list[tuple[int, str]]:
    """Victims at random steps of the first thirty, as ``(step, victim)``."""
    victims = ["RolloutWorker"] * 5 + ["node"] + ["RolloutWorker"] * 2 + ["LearnerRank", "driver"]
    victims += ["RolloutWorker"] * 5 + ["node", "LearnerRank", "driver"] + ["RolloutWorker"] * 3
    moments = random.Random(11)
    return list(zip(sorted(moments.randint(1, 29) for _ in victims), victims, strict=True))


@pytest.mark.long
def test_twenty_kills_leave_no_trace_in_the_result(start: Start, cluster: Cluster, tmp_path: Path) -> None:
    """With two updates per batch and groups that are drawn again."""
    disturbed, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"
    settings = ("schedule.num_steps=45", "learner.loss=dapo", "learner.updates_per_batch=2", "rollout.top_k=3")
    done = run(command(start, undisturbed, *settings))
    assert done.returncode == 0, done.stderr[-3000:]
    assert sum(row.get("group/redrawn", 0.0) for row in rows(undisturbed)) > 0
    arguments = command(start, disturbed, *settings)
    assert len(_disturbed(cluster, arguments, disturbed, many_kills())) >= 20
    assert [row["step"] for row in rows(disturbed)] == list(range(46))
    _assert_the_same(disturbed, undisturbed)
