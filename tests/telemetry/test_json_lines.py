import json
import math
from pathlib import Path

import pytest

from ray_iqa.errors import CheckpointError
from ray_iqa.telemetry.json_lines import JsonLinesLog


def _log(path: Path, *steps: int) -> None:
    log = JsonLinesLog(path)
    for step in steps:
        log.log(step, {"reward/mean": step / 2})
    log.close()


def _steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_row_is_readable_before_close_and_what_is_not_finite_is_null(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    JsonLinesLog(path).log(3, {"reward/mean": 0.25, "eval/srcc": math.nan, "policy/kl": math.inf})
    assert json.loads(path.read_text()) == {"step": 3, "reward/mean": 0.25, "eval/srcc": None, "policy/kl": None}


def test_resume_keeps_rows_up_to_the_restored_step_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    _log(path, 1, 2, 3, 4)
    log = JsonLinesLog(path)
    log.truncate_after(2)
    assert _steps(path) == [1, 2]
    log.log(3, {"reward/mean": 9.0})
    assert _steps(path) == [1, 2, 3]
    assert [entry.name for entry in tmp_path.iterdir()] == ["metrics.jsonl"]


@pytest.mark.parametrize("half", ['{"step": 3, "rew', '{"step": 3}'])
def test_a_last_line_without_its_end_is_removed(tmp_path: Path, half: str) -> None:
    path = tmp_path / "metrics.jsonl"
    _log(path, 1, 2)
    with path.open("a") as file:
        file.write(half)
    JsonLinesLog(path).truncate_after(9)
    assert _steps(path) == [1, 2]


def test_restoring_step_0_removes_everything(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    _log(path, 1, 2)
    JsonLinesLog(path).truncate_after(0)
    assert path.read_text() == ""


def test_a_line_that_is_no_row_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
    with pytest.raises(CheckpointError, match="found 'nonsense"):
        JsonLinesLog(path).truncate_after(1)
    assert path.read_text() == '{"step": 1}\nnonsense\n{"step": 2}\n'
