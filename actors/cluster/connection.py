"""The connection of a command to its Ray cluster, and what its processes find there."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import ray

from actors.cluster.ray_signals import end_sessions, own_signals
from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.data.images import MAX_PIXELS_VARIABLE
from ray_iqa.errors import ResourceError
from ray_iqa.path_text import NAMES
from ray_iqa.telemetry.terminal import say


@contextmanager
def connected(cluster: ClusterConfig) -> Iterator[None]:
    """While the block runs: the cluster of ``cluster.address``, the one this job was submitted to, or a local one.

    The local one ends with the block, with all its processes.

    Raises:
        ResourceError: no cluster answers at the address, or Ray does not start on this machine.
    """
    with own_signals(), _silent_start():
        _join(cluster)
    try:
        yield
    finally:
        with own_signals():
            ray.shutdown()
        end_sessions()


@contextmanager
def _silent_start() -> Iterator[None]:
    """Meanwhile only Python writes to the terminal: Ray's C++ would say which log level it was given."""
    with os.fdopen(os.dup(2), "w", buffering=1, errors=NAMES) as terminal, redirect_stderr(terminal):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(terminal.fileno(), 2)


def _join(cluster: ClusterConfig) -> None:
    options: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": False}
    if cluster.max_picture_pixels is not None:
        limit = {MAX_PIXELS_VARIABLE: str(cluster.max_picture_pixels)}
        os.environ.update(limit)
        options["runtime_env"] = {"env_vars": limit}
    # Ray's processes write to this terminal that an actor might not restart or that metrics were not exported; what
    # matters it raises. `RAY_BACKEND_LOG_LEVEL=info` brings back all of it.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if cluster.address is not None or "RAY_ADDRESS" in os.environ:
        try:
            ray.init(address=cluster.address, **options)
        except ConnectionError as error:
            raise ResourceError(
                f"cluster.address must name a running Ray cluster, none answers at {cluster.address!r}: {error}"
            ) from error
        return
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # a busy small machine starts slowly
    # Our actors have environments of their own, so idle workers started ahead would only cost their imports.
    os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)  # says at each start that tokens are on
    say("starting Ray on this machine")
    try:
        ray.init(address="local", include_dashboard=False, **options)
    except Exception as error:  # Ray raises no narrower one when its processes take too long
        raise ResourceError(
            f"Ray must start on this machine within its 30 s, it did not ({error}): try again when it is less busy"
        ) from error


def worker_environment(num_threads: int | None, device: str) -> dict[str, dict[str, str]]:
    """Ray's runtime environment of a process that runs an engine or a learner."""
    # Ray sets OMP_NUM_THREADS to the CPUs it reserved; a tiny policy on a laptop wants all cores in turn.
    threads = {} if num_threads is None else {"OMP_NUM_THREADS": str(num_threads)}
    # Actors take turns on a CPU: threads that wait must not spin, or they slow the one that works several times.
    turns = {"DS_ACCELERATOR": "cpu", "OMP_WAIT_POLICY": "PASSIVE"} if device == "cpu" else {}
    return {"env_vars": threads | turns}
