import logging
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import ray
from filelock import FileLock
from quickstart_runs import Start, command, run
from ray.cluster_utils import Cluster

from ray_iqa.quickstart.cold_start import cold_start
from ray_iqa.quickstart.synthesise import synthesise
from ray_iqa.quickstart.tiny_policy import build_tiny_policy

# Ray reads the mode once per process, and `ray.init` turns tokens on: a pytest process that starts several clusters, by
# whatever way, must have one mode. Commands that start their own have tokens (`quickstart_runs.environment`).
os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # tests report nothing, and each job of Ray Data starts a process less
# As in `actors.cluster.connection`: workers started ahead only cost their imports.
os.environ.setdefault("RAY_prestart_worker_first_driver", "0")


@pytest.fixture(scope="session")
def cluster_address() -> Iterator[str]:
    """One cluster for all modules of a pytest process: each more would cost seven seconds of a processor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_raylet_start_wait_time_s", "120")
        # What the images set on every node.
        patch.setenv("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "actors.serve_proxy:middlewares")
        head = {"num_cpus": 4, "include_dashboard": False}
        head["include_log_monitor"] = False  # it goes through the log files of all processes there ever were
        cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture(scope="module")
def joined_ray(cluster_address: str) -> Iterator[None]:
    """This process is a driver on the cluster of the tests."""
    ray.init(address=cluster_address, logging_level=logging.ERROR, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def commands_join(cluster_address: str) -> Iterator[None]:
    """Commands of a module run on the cluster of the tests, as if submitted to it, instead of starting their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", cluster_address)
        yield


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """A policy that mostly answers in the format (it need not see) and a few hundred pictures."""
    home = made_once(tmp_path_factory, "start", _make_start)
    return Start(policy=home / "policy", manifests=sorted((home / "data").glob("*/manifest.csv")))


@pytest.fixture(scope="session")
def undisturbed(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of 8 steps in which nothing happens."""
    return made_once(tmp_path_factory, "undisturbed", partial(_train, start))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first of several pytest processes makes while the others wait for it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    made = folder.with_suffix(".made")
    with FileLock(folder.with_suffix(".lock")):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            made.touch()
    return folder


def _make_start(folder: Path) -> None:
    synthesise(folder / "data", num_train=300, num_val=60, num_test=60)
    cold_start(build_tiny_policy(folder / "blank"), folder / "data", folder / "policy", num_steps=80)


def _train(start: Start, run_dir: Path) -> None:
    done = run(command(start, run_dir))
    assert done.returncode == 0, done.stderr[-3000:]
