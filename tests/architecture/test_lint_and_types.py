"""What `make check` runs, as tests: beside the others, as types take a minute of one core."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "command", ["ruff format --check .", "ruff check .", "mypy", "lint-imports"], ids=lambda command: command
)
def test_the_code_passes(command: str) -> None:
    program, *arguments = command.split()
    found = Path(sys.executable).with_name(program)
    done = subprocess.run([str(found), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
