"""`ray job submit` of a clone that is not installed on the cluster: the submitted code is what runs."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from quickstart_runs import REPOSITORY, TWO_STEPS, Start, command, rows
from ray.job_submission import JobSubmissionClient

from actors.cluster.submit import attempt, follow
from ray_iqa.errors import ResourceError

pytestmark = pytest.mark.timeout(900)
COUNTING = """
import pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
number = int((here / "saved").read_text()) if (here / "saved").exists() else 0
if number:
    print("resumed at", number)
    sys.exit(7)
def save(*_):
    time.sleep(4)
    (here / "saved").write_text(str(number))
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
while True:
    number += 1
    (here / "count").write_text(str(number))
    time.sleep(0.2)
"""
RAY = str(Path(sys.executable).with_name("ray"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """A head node with its dashboard; the environment that reaches it."""
    ports = [_free_port() for _ in range(3)]
    home = Path(tempfile.mkdtemp(dir="/tmp"))  # a short path: Ray's sockets lie below it
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # `python` on the cluster has the dependencies
    environment = {**os.environ, "HOME": str(home), "PATH": path}
    options = [f"--port={ports[0]}", f"--dashboard-port={ports[1]}", f"--dashboard-agent-listen-port={ports[2]}"]
    options += ["--num-cpus=3", f"--temp-dir={home}/ray"]
    subprocess.run([RAY, "start", "--head", *options], env=environment, check=True, capture_output=True, timeout=180)
    yield {**environment, "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{ports[1]}"}
    _stop(home)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working tree elsewhere, with marks that only this copy writes: one by the driver, one by a worker."""
    folder = tmp_path_factory.mktemp("clone") / "submitted"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "docs")
    for name in ("actors", "configs", "ray_iqa"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    for file, metric in (
        ("rewards/metrics.py", "reward/mean"),
        ("backends/deepspeed/learner.py", "policy/learning_rate"),
    ):
        path = folder / "ray_iqa" / file
        assert f'"{metric}"' in path.read_text()
        path.write_text(path.read_text().replace(f'"{metric}"', f'"submitted/{metric}"'))
    return folder


def test_the_submitted_code_trains_and_the_exit_code_is_the_jobs(
    start: Start, cluster: dict[str, str], clone: Path, tmp_path: Path
) -> None:
    job = ["python", *command(start, tmp_path / "run", *TWO_STEPS)[1:]]
    done = _submit(cluster, clone, job)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Exported policy" in done.stdout
    log = rows(tmp_path / "run")
    assert [row["step"] for row in log] == [0, 1, 2]
    assert "submitted/reward/mean" in log[1]
    assert "submitted/policy/learning_rate" in log[1]


def test_a_job_that_cannot_work_fails_with_the_sentence(start: Start, cluster: dict[str, str], clone: Path) -> None:
    job = ["python", *command(start, Path("relative/run"))[1:]]
    done = _submit(cluster, clone, job)
    assert done.returncode != 0
    assert "run_dir must be absolute in a submitted job" in done.stdout + done.stderr


def test_a_stopped_submission_saves_and_the_same_command_attaches_or_resumes(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    # A job in place of training: it counts, takes longer to stop than Ray's three seconds, and fails with a code.
    script = tmp_path / "count.py"
    script.write_text(COUNTING)
    client = JobSubmissionClient(cluster["RAY_API_SERVER_ADDRESS"])
    entrypoint = f"python {script}"

    first = attempt(client, "count", entrypoint, str(tmp_path))
    assert first == "count-1"
    _await(lambda: (tmp_path / "count").exists())
    assert attempt(client, "count", entrypoint, str(tmp_path)) == first  # running: attach
    with pytest.raises(ResourceError, match="count-1 is running another command"):
        attempt(client, "count", "python -c 1", str(tmp_path))
    client.stop_job(first)
    assert follow(client, first) == 143
    assert (tmp_path / "saved").read_text() == (tmp_path / "count").read_text()

    second = attempt(client, "count", entrypoint, str(tmp_path))
    assert second == "count-2"
    assert follow(client, second) == 7
    log = client.get_job_logs(second)
    assert f"resumed at {(tmp_path / 'saved').read_text()}" in log


@pytest.mark.long
def test_a_stopped_training_job_resumes_under_its_name(
    start: Start, cluster: dict[str, str], clone: Path, tmp_path: Path
) -> None:
    words = [*command(start, tmp_path / "run", "schedule.num_steps=30", "cluster.timeline=true")[3:]]
    submit = [sys.executable, "-m", "actors", "submit", "kadid", "--", *words]
    first = subprocess.Popen(submit, cwd=clone, env=cluster, stdout=subprocess.PIPE, text=True)
    _await(lambda: len(rows(tmp_path / "run")) >= 2)
    subprocess.run([RAY, "job", "stop", "--no-wait", "kadid-1"], env=cluster, check=True, capture_output=True)
    assert first.wait(timeout=300) == 143
    stopped_at = int(rows(tmp_path / "run")[-1]["step"])
    assert (tmp_path / "run" / "checkpoints" / f"step-{stopped_at:06d}").is_dir()

    again = subprocess.run(submit, cwd=clone, env=cluster, capture_output=True, text=True, timeout=500, check=False)
    assert again.returncode == 0, again.stdout[-3000:]
    assert "Exported policy" in again.stdout
    assert [row["step"] for row in rows(tmp_path / "run")] == list(range(31))
    calls = {event["name"] for event in json.loads((tmp_path / "run" / "timeline.json").read_text())}
    assert {"sample", "update", "save"} <= calls


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 300 s"
        time.sleep(0.1)


def _submit(environment: dict[str, str], clone: Path, job: list[str]) -> subprocess.CompletedProcess[str]:
    submit = [RAY, "job", "submit", "--working-dir", str(clone), "--", *job]
    return subprocess.run(submit, cwd=clone, env=environment, capture_output=True, text=True, timeout=600, check=False)


def _stop(home: Path) -> None:
    """End this cluster only; `ray stop` would end every cluster on the machine."""
    subprocess.run(["pkill", "-KILL", "-f", f"{home}/ray"], check=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
