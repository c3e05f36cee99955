"""What no number of nodes can give is refused in seconds, by what Ray's own autoscaler (its second kind) reports."""

import runpy
import time
from collections.abc import Iterator

import pytest
import ray
from quickstart_runs import REPOSITORY

from actors.placement import Layout, connect, reserve
from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.errors import ResourceError

pytestmark = pytest.mark.timeout(400)
WAIT_S = 120.0
autoscaling_cluster = runpy.run_path(str(REPOSITORY / "benchmarks" / "autoscaling_cluster.py"))["autoscaling_cluster"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterConfig]:
    """A head without CPUs that may start two nodes of 2 CPUs."""
    with autoscaling_cluster(0, 2, 2, idle_s=600, generation=2) as address:
        cluster = ClusterConfig(address=address, device="cpu", wait_s=WAIT_S)
        connect(cluster)
        yield cluster
        ray.shutdown()


def _layout(*cpus: float) -> Layout:
    return Layout(
        bundles=tuple({"CPU": amount} for amount in cpus),
        rollout_bundles=(),
        learner_bundles=tuple(range(len(cpus))),
        gpus_per_rollout=0.0,
        gpus_per_rank=0.0,
    )


@pytest.mark.parametrize("cpus", [(2.0, 2.0, 2.0), (3.0,)], ids=["too many nodes", "too large a node"])
def test_what_the_nodes_can_never_give_is_refused_in_seconds(cluster: ClusterConfig, cpus: tuple[float, ...]) -> None:
    began = time.monotonic()
    with pytest.raises(ResourceError, match=rf"the run needs {sum(cpus):g} CPU .* would not do"):
        reserve(_layout(*cpus), cluster)
    assert time.monotonic() - began < WAIT_S / 2


def test_what_the_nodes_can_give_is_waited_for(cluster: ClusterConfig) -> None:
    reserve(_layout(2.0, 2.0), cluster)
    assert ray.cluster_resources()["CPU"] >= 4
