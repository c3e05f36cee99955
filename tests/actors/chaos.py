"""A cluster of several nodes on this machine, and a harness that kills what a run is made of while it runs."""

import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from quickstart_runs import in_background, last_step
from ray.cluster_utils import Cluster

from actors.training.fleet import MAX_FAILURES_IN_A_ROW

WITHOUT_PROGRESS_S = 240.0


@contextmanager
def several_nodes(num_nodes: int, cpus: int) -> Iterator[Cluster]:
    """A head without CPUs, where the driver runs, and nodes that can be killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_raylet_start_wait_time_s", "120")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            for _ in range(num_nodes):
                cluster.add_node(num_cpus=cpus)
            yield cluster
        finally:
            cluster.shutdown()


class Chaos:
    """Runs a command to its end and kills a victim whenever its log reaches the next step of a plan."""

    def __init__(self, cluster: Cluster, command: Sequence[str], run_dir: Path, seed: int, cpus: int) -> None:
        self._cluster, self._command, self._run_dir, self._cpus = cluster, command, run_dir, cpus
        self._random = random.Random(seed)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as this object
        self._driver = self._start()
        self.killed: list[str] = []
        self._hits: Counter[int] = Counter()  # kills by the step that was logged last

    def run(self, plan: Sequence[tuple[int, str]]) -> None:
        """Kill each ``(step, victim)`` of ``plan`` up to two seconds after the step is logged; await the end.

        As many as a run stands on the images of one step, and no more: a plan may be behind after a restart.
        """
        try:
            for step, victim in plan:
                self._await(step)
                if self._hits[reached := last_step(self._run_dir)] == MAX_FAILURES_IN_A_ROW:
                    self._await(reached := reached + 1)
                self._hits[reached] += 1
                time.sleep(self._random.uniform(0.0, 2.0))
                self._kill(victim)
            assert self._driver.wait(timeout=WITHOUT_PROGRESS_S * 2) == 0
        finally:
            self._driver.kill()

    def _start(self) -> "subprocess.Popen[bytes]":
        return in_background([*self._command, f"cluster.address={self._cluster.address}"], self._said.fileno())

    def _assert_running(self) -> None:
        if self._driver.poll() is not None:
            self._said.seek(0)
            said = self._said.read()[-2000:].decode(errors="replace")
            raise AssertionError(f"ended with {self._driver.returncode} after {self.killed}: {said}")

    def _await(self, step: int) -> None:
        seen, since = -1, time.monotonic()
        while (reached := last_step(self._run_dir)) < step:
            if reached != seen:
                seen, since = reached, time.monotonic()
            self._assert_running()
            assert time.monotonic() - since < WITHOUT_PROGRESS_S, f"stuck at step {reached} after {self.killed}"
            time.sleep(0.05)

    def _kill(self, victim: str) -> None:
        match victim:
            case "driver":
                self._driver.kill()
                self._driver.wait()
                self._driver = self._start()
            case "node":
                node = self._random.choice(sorted(self._cluster.worker_nodes, key=lambda node: node.node_id))
                self._cluster.remove_node(node, allow_graceful=False)
                self._cluster.add_node(num_cpus=self._cpus, wait=False)
            case _:
                self._kill_actor(victim)
        self.killed.append(victim)

    def _kill_actor(self, name: str) -> None:
        """SIGKILL one process of an actor; one that is about to be replaced is waited for."""
        deadline = time.monotonic() + WITHOUT_PROGRESS_S
        while time.monotonic() < deadline:
            if actors := [process for process in descendants() if process[1].startswith(f"ray::{name}")]:
                self._random.choice(actors)[0].kill()
                return
            self._assert_running()
            time.sleep(0.1)
        raise AssertionError(f"no {name} to kill after {self.killed}")


def descendants() -> list[tuple[psutil.Process, str]]:
    """Processes of every cluster that this one has started, with their titles."""
    found = []
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            found.append((process, " ".join(process.cmdline()[:1])))
        except psutil.Error:
            continue
    return found
