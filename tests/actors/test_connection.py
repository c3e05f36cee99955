"""What a command's connection to Ray lets through to the terminal."""

import os
import subprocess
import sys

import pytest

RESTARTABLE = """
import numpy, ray
from actors.cluster.connection import connected
from ray_iqa.config.cluster import ClusterConfig

@ray.remote(num_cpus=0, max_restarts=1)
class Actor:
    def __init__(self, values): pass
    def answer(self): return "answered"

with connected(ClusterConfig(device="cpu")):
    print(ray.get(Actor.remote(numpy.zeros(10**6)).answer.remote()))
"""


@pytest.mark.parametrize(("level", "is_seen"), [(None, False), ("info", True)])
def test_rays_warning_about_restarts_stays_off_the_terminal_unless_asked_for(
    level: str | None, *, is_seen: bool
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_BACKEND_LOG_LEVEL"}
    environment |= {} if level is None else {"RAY_BACKEND_LOG_LEVEL": level}
    done = subprocess.run(
        [sys.executable, "-c", RESTARTABLE], env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout == "answered\n"
    assert ("restart will fail" in done.stderr) is is_seen
    assert is_seen or done.stderr == "starting Ray on this machine\n"
