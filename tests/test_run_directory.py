import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import CheckpointError, OutputError
from ray_iqa.files import PARTIAL
from ray_iqa.run_directory import RunDirectory

HOLD = """
import sys, time
from pathlib import Path
from ray_iqa.config.section import Section
from ray_iqa.run_directory import RunDirectory
with RunDirectory(Path(sys.argv[1]), Section()):
    print("holding", flush=True)
    time.sleep(60)
"""


def _config(**sections: dict[str, object]) -> TrainConfig:
    tree: dict[str, dict[str, object]] = {
        "schedule": {"num_steps": 4},
        "data": {"train": ["/data/train.csv"]},
        "evaluation": {"manifests": ["/data/val.csv"]},
        "policy": {"model": "/models/tiny"},
    }
    for name, values in sections.items():
        tree[name] = tree.get(name, {}) | values
    return TrainConfig.model_validate({"run_dir": "/runs/a", "seed": 3} | tree)


def test_writes_the_resolved_configuration(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "new" / "run", _config()):
        pass
    assert json.loads((tmp_path / "new" / "run" / "resolved.json").read_text())["learner"]["kl_coef"] == 0.04


def test_resume_may_change_length_measurement_and_machines(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, _config()):
        pass
    changed = _config(
        schedule={"num_steps": 9, "checkpoint_every": 2},
        evaluation={"num_completions": 2},
        cluster={"device": "cpu"},
        rollout={"min_workers": 3, "sample_deadline_s": 5.0, "num_threads": 1},
        learner={"update_deadline_s": 5.0},
    )
    with RunDirectory(tmp_path, changed):
        pass
    assert json.loads((tmp_path / "resolved.json").read_text())["schedule"]["num_steps"] == 9


def test_a_run_that_was_refused_before_it_began_may_be_corrected(tmp_path: Path) -> None:
    for weight in (1.0, 0.5):
        with RunDirectory(tmp_path, _config(reward={"format_weight": weight})):
            pass
    assert json.loads((tmp_path / "resolved.json").read_text())["reward"]["format_weight"] == 0.5


def test_resume_refuses_settings_that_change_results_and_names_them(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, _config()):
        (tmp_path / "metrics.jsonl").touch()
    changed = _config(reward={"format_weight": 0.5}, learner={"lora": {"rank": 8}}, schedule={"num_steps": 9})
    with pytest.raises(CheckpointError) as caught, RunDirectory(tmp_path, changed):
        pass
    message = str(caught.value)
    assert "reward.format_weight (was 1.0, now 0.5)" in message
    assert "learner.lora.rank (was None, now 8)" in message
    assert "num_steps" not in message
    assert json.loads((tmp_path / "resolved.json").read_text())["schedule"]["num_steps"] == 4
    with RunDirectory(tmp_path, _config()):  # the refusal gave the lock back
        pass


def test_a_second_driver_is_refused_and_a_killed_ones_lock_is_taken_over(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "holding\n"
        with (
            pytest.raises(CheckpointError, match=f"process {holder.pid} on "),
            RunDirectory(tmp_path, _config()),
        ):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with RunDirectory(tmp_path, _config()):
        pass


def test_unreadable_resolved_configuration_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "resolved.json").write_text("{")
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(CheckpointError, match="not readable as JSON"), RunDirectory(tmp_path, _config()):
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with RunDirectory(tmp_path, _config()):
        assert (tmp_path / "resolved.json").exists()
    assert f"the file system of {tmp_path} has no locks ({os.strerror(number)})" in caplog.text


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/run cannot be written: Not a directory"):
        RunDirectory(tmp_path / "file" / "run", _config()).__enter__()


def test_what_a_killed_write_left_does_not_count_as_begun(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, _config()):
        (tmp_path / f"{PARTIAL}0.json").touch()
    with RunDirectory(tmp_path, _config(reward={"format_weight": 0.5})):
        pass
