"""`ray-iqa submit` where no cluster answers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors.cli import main


def test_submit_takes_options_before_the_name_and_an_error_names_the_proxy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert main(["submit", "name", "--address", "http://127.0.0.1:1", "--", "train"]) == 1
    assert "options of submit come before the name of the job, got '--address'" in capsys.readouterr().err
    assert main(["submit", "--address", "http://cluster.example:1", "name", "--", "train"]) == 1
    assert "http://cluster.example:1 through the proxy http://127.0.0.1:9: " in capsys.readouterr().err
    assert main(["submit", "--address", "http://127.0.0.1:1", "name", "--", "train"]) == 1
    assert "proxy" not in capsys.readouterr().err


def test_submit_says_where_a_token_comes_from(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "actors", "submit", "--address", "http://127.0.0.1:1", "name", "--", "train"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    environment |= {"HOME": str(tmp_path), "RAY_AUTH_MODE": "token"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "wants its token in ~/.ray/auth_token: `ray get-auth-token --generate` makes one" in done.stderr
    assert done.stderr.count("\n") == 1


LAPTOP = """
import signal, sys
import ray.job_submission  # which may use what Linux has
del signal.SIGHUP
sys.modules |= dict.fromkeys(("fcntl", "resource", "torch", "vllm", "deepspeed", "transformers", "open_clip", "peft"))
from actors.cli import main
sys.exit(main(["submit", "--address", "http://127.0.0.1:1", "name", "--", "train", "--config", "kadid"]))
"""


def test_submit_needs_ray_alone_and_nothing_that_windows_has_not() -> None:
    done = subprocess.run([sys.executable, "-c", LAPTOP], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "a Ray dashboard must answer at http://127.0.0.1:1" in done.stderr
