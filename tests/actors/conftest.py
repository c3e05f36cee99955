import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from quickstart_runs import Start, command, run

from ray_iqa.quickstart.cold_start import cold_start
from ray_iqa.quickstart.synthesise import synthesise
from ray_iqa.quickstart.tiny_policy import build_tiny_policy


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A cluster of its own, whatever else runs on the machine."""
    ray.init(address="local", num_cpus=4, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """A policy that mostly answers in the format (it need not see) and a few hundred pictures."""
    home = tmp_path_factory.mktemp("start")
    manifests = synthesise(home / "data", num_train=300, num_val=60, num_test=60)
    blank = build_tiny_policy(home / "blank")
    return Start(policy=cold_start(blank, home / "data", home / "policy", num_steps=80), manifests=manifests)


@pytest.fixture(scope="session")
def undisturbed(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of 8 steps in which nothing happens."""
    run_dir = tmp_path_factory.mktemp("undisturbed")
    done = run(command(start, run_dir))
    assert done.returncode == 0, done.stderr[-3000:]
    return run_dir
