"""Short real training runs as subprocesses: vLLM, DeepSpeed and Ray on a tiny policy."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray

from actors.cli import main

REPOSITORY = Path(__file__).parents[2]
CIRCUMSTANCES = (  # what depends on the clock and on accidents
    "time/",
    "throughput/",
    "learner/seconds",
    "learner/tokens_per_second",
    "rollout/worker_seconds",
    "rollout/workers_",
)
TWO_STEPS = ("schedule.num_steps=2", "learner.warmup_steps=1")


@dataclass(frozen=True)
class Start:
    """Where a run begins: pictures in two datasets and a policy that answers in the format."""

    policy: Path
    manifests: list[Path]


def command(start: Start, run_dir: Path, *overrides: str) -> list[str]:
    """A run of 8 steps of 12 images x 4 answers."""
    manifests = json.dumps([str(path) for path in start.manifests])
    settings = [
        f"run_dir={run_dir}",
        f"policy.model={start.policy}",
        f"data.train={manifests}",
        f"evaluation.manifests={manifests}",
        "evaluation.max_images=8",
        "evaluation.num_completions=2",
        "data.images_per_step=12",
        "rollout.num_completions=4",
        "rollout.min_workers=1",
        "cluster.cpus_per_actor=1",
        "schedule.num_steps=8",
        "schedule.checkpoint_every=3",
        "schedule.evaluate_every=4",
    ]
    config = "configs/train/quickstart.yaml"
    return [sys.executable, "-m", "actors", "train", "--config", config, *settings, *overrides]


def run(arguments: Sequence[str], cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=cwd, env=environment(arguments), capture_output=True, text=True, timeout=400, check=False
    )


def environment(arguments: Sequence[str]) -> dict[str, str]:
    """Tokens are on, as for a user, unless the command joins a cluster of the tests."""
    joins = "RAY_ADDRESS" in os.environ or any(argument.startswith("cluster.address=") for argument in arguments)
    return {name: value for name, value in os.environ.items() if joins or name != "RAY_AUTH_MODE"}


def refusal(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command says and ends with; nothing has been started."""
    assert main(list(arguments[3:])) == 1
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1, said
    assert not ray.is_initialized()
    return said


def stop_after(arguments: Sequence[str], run_dir: Path, step: int, number: signal.Signals) -> int:
    """Start a run, send ``number`` to the driver once ``step`` is in its log, and return the exit code."""
    process = in_background(arguments)
    await_step(process, run_dir, step)
    os.kill(process.pid, number)
    return process.wait(timeout=300)


def in_background(arguments: Sequence[str], said: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """``said`` is a descriptor that gets what it writes."""
    return subprocess.Popen(arguments, cwd=REPOSITORY, env=environment(arguments), stdout=said, stderr=said)


def await_step(process: subprocess.Popen[bytes], run_dir: Path, step: int) -> None:
    deadline = time.monotonic() + 300
    while last_step(run_dir) < step:
        assert process.poll() is None, f"ended with {process.returncode} before step {step}"
        assert time.monotonic() < deadline, f"no step {step} within 300 s"
        time.sleep(0.05)


def rows(run_dir: Path) -> list[dict[str, float]]:
    """The log without its circumstances; a half-written last line of a running job is left out."""
    file = run_dir / "metrics.jsonl"
    text = file.read_text() if file.exists() else ""
    parsed = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [
        {
            name: value
            for name, value in row.items()
            if not (name.startswith(CIRCUMSTANCES) or name.endswith("_seconds"))
        }
        for row in parsed
    ]


def last_step(run_dir: Path) -> int:
    return int(rows(run_dir)[-1]["step"]) if rows(run_dir) else 0
