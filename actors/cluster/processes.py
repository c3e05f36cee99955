"""Where an actor's process runs, and what a hung one was doing before it is killed.

The stack comes from the process itself: `faulthandler` writes it when a signal arrives, without the interpreter's
lock, so it needs no right to trace other processes, which containers and non-root users rarely have.
"""

import faulthandler
import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import (
    ActorPlacementGroupRemoved,
    ActorUnschedulableError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ray_iqa.errors import RayIqaError

Handle = Any  # of an actor; Ray has no public generic type for it
LOST_ACTOR = (RayActorError, OutOfMemoryError, ActorUnschedulableError, ActorPlacementGroupRemoved)
"""How Ray says that an actor is gone: the last three, of memory monitor and scheduler, are no `RayActorError`."""
_OWN_ERROR = re.compile(r"ray_iqa\.errors\.\w+: ")

_SIGNAL = signal.SIGUSR1
_DUMP_S = 3.0  # a healthy kernel delivers the signal in milliseconds
_REPORT_S = 60.0  # a node that is busy or gone; its process ends with it
_STATES = {"R": "running", "S": "sleeping", "D": "waiting for a device", "T": "stopped by a signal", "Z": "dead"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlace:
    """One process of the cluster."""

    node_id: str
    host: str
    pid: int
    stack_file: int  # descriptor in that process of a file without a name, which ends with the process


def announce_process() -> ProcessPlace:
    """This process, ready to tell its stacks; called once, before anything in it can hang."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - stays open
    faulthandler.register(_SIGNAL, file=file, all_threads=True)
    _kept_open.append(file)
    return ProcessPlace(
        node_id=ray.get_runtime_context().get_node_id(),
        host=ray.util.get_node_ip_address(),
        pid=os.getpid(),
        stack_file=file.fileno(),
    )


_kept_open: list[object] = []  # faulthandler writes to the descriptor


def end_hung_processes(places: Sequence[ProcessPlace]) -> list[str]:
    """Kill processes that do not answer, stopped ones too; returns state and stacks of each in a readable report."""
    deadline = time.monotonic() + _REPORT_S
    return [_report(place, task, deadline) for place, task in [(place, _ask_node(place)) for place in places]]


def _ask_node(place: ProcessPlace) -> "ray.ObjectRef[str]":
    where = NodeAffinitySchedulingStrategy(place.node_id, soft=False)
    options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": where}
    return ray.remote(_stacks_then_kill).options(**options).remote(place)


def _report(place: ProcessPlace, task: "ray.ObjectRef[str]", deadline: float) -> str:
    try:
        stacks: str = ray.get(task, timeout=max(0.0, deadline - time.monotonic()))
    except RayError as error:
        ray.cancel(task, force=True)
        stacks = f"its stack is not known: {last_line(error)}"
    return f"process {place.pid} on {place.host} {stacks}"


def _stacks_then_kill(place: ProcessPlace) -> str:
    process = Path(f"/proc/{place.pid}")
    stat, file = process / "stat", process / "fd" / str(place.stack_file)
    if not stat.exists():
        return "has ended meanwhile"
    letter = stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    os.kill(place.pid, _SIGNAL)
    os.kill(place.pid, signal.SIGCONT)  # a stopped process must run to write its stack
    deadline = time.monotonic() + _DUMP_S
    while not _is_written(file) and time.monotonic() < deadline:
        time.sleep(0.05)
    stacks = file.read_text(encoding="utf-8")
    os.kill(place.pid, signal.SIGKILL)
    return f"was {_STATES.get(letter, letter)}\n{stacks or 'and wrote no stack'}"


def _is_written(file: Path) -> bool:
    """The thread that received the signal is written last, its outermost frame at the end."""
    before = file.stat().st_size
    time.sleep(0.05)
    return before > 0 and file.stat().st_size == before


def last_line(error: Exception) -> str:
    """What went wrong: the line after the remote traceback; where an actor never ran, Ray says it the line before."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith("The actor never ran")]
    return _OWN_ERROR.sub("", lines[-1].partition(" Some common causes include")[0], count=1)


@contextmanager
def own_errors() -> Iterator[None]:
    """What an actor raised on purpose is raised here as it was there, without the remote traceback."""
    try:
        yield
    except RayTaskError as error:
        if isinstance(error.cause, RayIqaError):
            raise error.cause from None
        raise
