"""Weights & Biases offline, through its own library: what it kept is read back from its own file."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wandb.proto.wandb_internal_pb2 import Record

from ray_iqa.telemetry.wandb_tracker import WandbTracker
from ray_iqa.types import StepRecord

MakeStep = Callable[[int, dict[str, float]], StepRecord]


def records(file: Path) -> Iterator[Record]:
    """Of a LevelDB log: behind 7 bytes of its own, blocks of 32 KiB with chunks of (checksum, length, kind, bytes)."""
    data, place, whole = file.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if 32_768 - place % 32_768 < 7:
            place += 32_768 - place % 32_768
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # the only or the last chunk
            yield Record.FromString(whole)
            whole = b""


def whole(file: Path) -> list[Record]:
    """What the library's own process has written, once that ends with the end of the run."""
    deadline = time.monotonic() + 120
    while not (found := list(records(file))) or not found[-1].HasField("exit"):
        assert time.monotonic() < deadline, f"{file} has no end"
        time.sleep(0.05)
    return found


def history(folder: Path) -> list[dict[str, object]]:
    found = []
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for record in whole(file):
            if record.HasField("history"):
                items = record.history.item
                found.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
    return found


def show(run_dir: Path, make_step: MakeStep, restored: int, steps: range) -> None:
    tracker = WandbTracker("team/iqa", run_dir, restored, {"seed": 3})
    if restored == 0:
        tracker.log(0, {"eval/srcc": 0.1}, None)
    for step in steps:
        metrics = {"reward/mean": step / 8, "pairs/label_gap": math.nan} | ({"eval/srcc": 0.5} if step == 2 else {})
        tracker.log(step, metrics, make_step(step, metrics))
    tracker.close()


def test_a_resumed_run_continues_its_curve_with_pictures_and_answers(
    tmp_path: Path, make_step: MakeStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    show(tmp_path, make_step, 0, range(1, 4))
    show(tmp_path, make_step, 2, range(3, 5))
    rows = history(tmp_path)
    assert [row["_step"] for row in rows] == [0, 1, 2, 3, 3, 4]
    assert [row.get("reward/mean") for row in rows] == [None, 1 / 8, 2 / 8, 3 / 8, 3 / 8, 4 / 8]
    assert not any("pairs/label_gap" in row for row in rows)
    [shown] = [row for row in rows if "examples/0/_type" in row]
    assert (shown["_step"], shown["examples/0/_type"]) == (2, "image-file")
    assert "MOS" in shown["examples/0/caption"]
    assert sum(rows[1]["scores/values"]) == 4  # of six answers
    ids = {file.stem for file in tmp_path.glob("wandb/offline-run-*/*.wandb")}
    assert ids == {f"run-{(tmp_path / 'wandb_id').read_text()}"}


def test_a_service_that_refuses_is_one_sentence(tmp_path: Path) -> None:
    """In a process of its own: the library reads its variables once."""
    where = {"WANDB_MODE": "online", "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_INIT_TIMEOUT": "2"}
    code = f"""
from pathlib import Path
from ray_iqa.errors import ResourceError
from ray_iqa.telemetry.wandb_tracker import WandbTracker
try:
    WandbTracker("iqa", Path({str(tmp_path)!r}), 0, {{}})
except ResourceError as error:
    print(error)
"""
    said = printed(code, where | {"WANDB_API_KEY": "x" * 40})
    assert said.startswith("wandb: iqa must be a project of Weights & Biases that this machine may write, got ")
    assert said.endswith("WANDB_MODE=offline keeps the curves in run_dir")


def test_a_missing_account_is_said_before_anything_starts(tmp_path: Path) -> None:
    code = """
from ray_iqa.errors import ResourceError
from ray_iqa.telemetry.wandb_tracker import check_login
try:
    check_login("iqa")
except ResourceError as error:
    print(error)
else:
    print("fine")
"""
    nobody = {"HOME": str(tmp_path), "WANDB_API_KEY": ""}
    assert "No API key configured" in printed(code, nobody | {"WANDB_MODE": "online"})
    assert printed(code, nobody | {"WANDB_MODE": "offline"}) == "fine"


def printed(code: str, variables: dict[str, str]) -> str:
    """The one line that a process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    [line] = done.stdout.splitlines()
    return line
