"""What signals do to a command, sent to its whole group; test_train_command.py has a run with engines."""

import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest
from signalled import Signalled

STEPS = """
import time
from actors.cluster.stop_signal import STOPPED, stop_on_signal
with stop_on_signal() as stop:
    for step in range(1, 100):
        stop.in_hand = f"step {step}, then saving"
        print("begins", step)
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            time.sleep(0.01)
        if stop.requested():
            print("saved", step)
            raise SystemExit(STOPPED)
"""
CLUSTER = """
import time
import ray
from actors.cluster.connection import connected
from actors.cluster.stop_signal import stop_on_signal
from ray_iqa.config.cluster import ClusterConfig

@ray.remote(num_cpus=0)
def work(seconds):
    time.sleep(seconds)
    return "worked"

with stop_on_signal() as stop, connected(ClusterConfig(device="cpu")):
    stop.in_hand = "work"
    worked = work.remote(2)
    ray.get(work.remote(0))
    print("has begun")
    while not stop.requested():
        time.sleep(0.01)
    print(ray.get(worked), ray.get(work.remote(0)))
    ray.get(work.remote(600))
"""


def script(text: str, terminal: int | None = None) -> Signalled:
    return Signalled([sys.executable, "-c", text], terminal)


def test_one_request_finishes_the_step_in_hand_even_when_it_is_sent_twice() -> None:
    job = script(STEPS)
    job.await_words("begins 1")
    job.send(signal.SIGTERM, signal.SIGHUP)  # as `timeout` and shells do, their child and then its group
    assert job.end(within_s=60) == 143
    assert job.said.splitlines() == ["begins 1", "finishing step 1, then saving; again: stop now", "saved 1"]


@pytest.mark.parametrize(("number", "name", "code"), [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)])
def test_who_asks_again_does_not_wait(number: signal.Signals, name: str, code: int) -> None:
    job = script(STEPS.replace("+ 1.5", "+ 600"))
    job.await_words("begins 1")
    job.send(number)
    job.await_words("again: stop now")
    time.sleep(0.6)
    job.send(number)
    assert job.end(within_s=60) == code
    first, again = job.said.splitlines()[1:]
    assert first == "finishing step 1, then saving; again: stop now"
    assert again == f"stopping now ({name}); what was saved before is kept"


def test_the_step_in_hand_outlives_its_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    steps = STEPS.replace('print("saved", step)', f"print(step); open({str(tmp_path / 'saved')!r}, 'w')")
    job = script(steps.replace("+ 1.5", "+ 4"), theirs)  # nothing is printed while the terminal goes
    os.close(theirs)
    with open(ours, "rb", closefd=False) as terminal:
        assert terminal.readline().strip() == b"begins 1"
    os.close(ours)
    assert job.end(within_s=60) == 143
    assert (tmp_path / "saved").exists()


def test_any_other_command_ends_with_a_sentence_however_often_it_is_asked(tmp_path: Path) -> None:
    words = ["data", "synth", str(tmp_path / "data"), "--images", "200000"]
    job = Signalled([sys.executable, "-m", "actors", *words])
    while not (tmp_path / "data").exists():
        time.sleep(0.05)
    for _ in range(3):
        job.send(signal.SIGINT)
        time.sleep(0.1)
    assert job.end(within_s=60) == 130
    assert job.said == "ray-iqa: ended by Ctrl-C before it was done\n"


def test_a_command_that_is_still_starting_ends_with_a_sentence_too(tmp_path: Path) -> None:
    slow = "import time; print('importing'); time.sleep(60)"
    (tmp_path / "pydantic.py").write_text(f"exec({slow!r})")  # as `dataclasses` and `typing` execute text
    job = script(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from actors.cli import main; sys.exit(main(['data']))"
    )
    job.await_words("importing")
    job.send(signal.SIGINT)
    assert job.end(within_s=60) == 130
    assert job.said == "importing\nray-iqa: ended by Ctrl-C before it was done\n"


def test_a_local_cluster_works_on_when_the_group_is_signalled_and_goes_with_a_killed_driver() -> None:
    job = script(CLUSTER)
    job.await_words("has begun")
    job.send(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # one request
    job.await_words("worked worked")
    job.send(signal.SIGKILL)
    assert job.end(within_s=60) == -signal.SIGKILL
    assert "SIGTERM received" not in job.said, job.said  # of Ray's C++


def test_a_cluster_that_is_starting_is_given_up_at_once() -> None:
    words = ["doctor", "--config", "configs/train/quickstart.yaml"]
    job = Signalled([sys.executable, "-m", "actors", *words])
    job.await_words("starting Ray on this machine")
    time.sleep(1.5)
    job.send(signal.SIGTERM)
    assert job.end(within_s=60) == 143
    assert job.said.splitlines()[-2:] == [
        "starting Ray on this machine",
        "ray-iqa: ended by SIGTERM before it was done",
    ]
