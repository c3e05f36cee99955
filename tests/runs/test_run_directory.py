import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ray_iqa import __version__
from ray_iqa.config.jobs.fit_ract import FitRactConfig
from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import CheckpointError, OutputError
from ray_iqa.files import PARTIAL
from ray_iqa.runs.directory import RunDirectory

HOLD = """
import sys, time
from pathlib import Path
from ray_iqa.config.section import Section
from ray_iqa.runs.directory import RunDirectory
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


def _begin(run_dir: Path, config: BaseModel, contents: dict[str, str] | None = None) -> None:
    with RunDirectory(run_dir, config, contents=contents):
        (run_dir / "metrics.jsonl").touch()


def test_writes_the_resolved_configuration(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "new" / "run", _config()):
        pass
    assert json.loads((tmp_path / "new" / "run" / "resolved.json").read_text())["learner"]["kl_coef"] == 0.04


def test_resume_may_change_length_measurement_memory_and_machines(tmp_path: Path) -> None:
    _begin(tmp_path, _config())
    changed = _config(
        schedule={"num_steps": 9, "checkpoint_every": 2},
        evaluation={"num_completions": 2},
        cluster={"device": "cpu"},
        rollout={
            "min_workers": 3,
            "sample_deadline_s": 5.0,
            "num_threads": 1,
            "max_model_len": 2048,
            "enforce_eager": True,
            "tensor_parallel_size": 2,
        },
        learner={
            "update_deadline_s": 5.0,
            "max_tokens_per_micro_batch": 512,
            "num_ranks": 2,
            "zero_stage": 2,
            "offload_optimizer": True,
            "gradient_checkpointing": False,
            "share_prefix": False,
        },
    )
    with RunDirectory(tmp_path, changed, find_step=lambda: 3):
        pass
    assert json.loads((tmp_path / "resolved.json").read_text())["schedule"]["num_steps"] == 9
    rows = [json.loads(line) for line in (tmp_path / "changes.jsonl").read_text().splitlines()]
    assert len(rows) == 17
    [stage] = [row for row in rows if row["key"] == "learner.zero_stage"]
    assert (stage["step"], stage["before"], stage["after"], stage["version"]) == (3, 3, 2, __version__)


@pytest.mark.parametrize(
    "changed",
    [
        {"learner": {"learning_rate": 1e-7}},
        {"learner": {"betas": (0.8, 0.9)}},
        {"learner": {"kl_coef": 0.0, "clip_high": 0.3, "max_grad_norm": 0.1}},
        {"rollout": {"max_tokens": 512}},
    ],
)
def test_how_a_policy_learns_changes_when_that_is_asked_for(tmp_path: Path, changed: dict[str, object]) -> None:
    _begin(tmp_path, _config())
    with (
        pytest.raises(CheckpointError, match="can with --change-learning"),
        RunDirectory(tmp_path, _config(**changed), change_learning=False),
    ):
        pass
    for step in (4, 5):  # the second time nothing is new
        with RunDirectory(tmp_path, _config(**changed), find_step=lambda at=step: at, change_learning=True):
            pass
    rows = [json.loads(line) for line in (tmp_path / "changes.jsonl").read_text().splitlines()]
    assert {row["step"] for row in rows} == {4}
    assert len(rows) == sum(map(len, changed.values()))


def test_a_command_without_the_option_does_not_recommend_it(tmp_path: Path) -> None:
    _begin(tmp_path, _config())
    with pytest.raises(CheckpointError) as caught, RunDirectory(tmp_path, _config(learner={"learning_rate": 1e-7})):
        pass
    assert "learner.learning_rate (was 1e-06, now 1e-07) cannot change" in str(caught.value)
    assert "--change" not in str(caught.value)


def test_what_keys_name_may_move_and_must_stay_the_same(tmp_path: Path) -> None:
    _begin(tmp_path, _config(), contents={"data.train": "rows", "policy.model": "weights"})
    moved = _config(data={"train": ["/elsewhere/train.csv"], "train_split": None}, policy={"model": "/elsewhere/tiny"})
    with RunDirectory(tmp_path, moved, contents={"data.train": "rows", "policy.model": "weights"}):
        pass
    assert '"/elsewhere/tiny"' in (tmp_path / "changes.jsonl").read_text()
    with (
        pytest.raises(CheckpointError, match=r"data\.train \(its content is another\) cannot change"),
        RunDirectory(tmp_path, moved, contents={"data.train": "other rows", "policy.model": "weights"}),
    ):
        pass
    with RunDirectory(tmp_path, moved, contents={"data.train": "rows", "policy.model": "weights"}):
        pass  # the refusal changed nothing


def test_without_recorded_digests_paths_must_stay(tmp_path: Path) -> None:
    _begin(tmp_path, _config())
    (tmp_path / "origin.json").unlink()  # as of an older version
    with (
        pytest.raises(CheckpointError, match=r"policy\.model \(was '/models/tiny', now '/elsewhere'\) cannot change"),
        RunDirectory(tmp_path, _config(policy={"model": "/elsewhere"}), contents={"policy.model": "weights"}),
    ):
        pass
    with RunDirectory(tmp_path, _config(), contents={"policy.model": "weights"}):
        pass
    assert json.loads((tmp_path / "origin.json").read_text()) == {
        "ray_iqa": __version__,
        "contents": {"policy.model": "weights"},
    }


def _rewrite(run_dir: Path, change: Callable[[dict[str, Any]], object]) -> None:
    settings = json.loads((run_dir / "resolved.json").read_text())
    change(settings)
    (run_dir / "resolved.json").write_text(json.dumps(settings))


def test_keys_that_another_version_did_not_know_have_their_default(tmp_path: Path) -> None:
    _begin(tmp_path, _config(learner={"lora": {"rank": 8}}))
    _rewrite(tmp_path, lambda settings: settings["learner"].pop("kl_coef"))
    _rewrite(tmp_path, lambda settings: settings["learner"]["lora"].pop("dropout"))
    _rewrite(tmp_path, lambda settings: settings.pop("reward"))
    with RunDirectory(tmp_path, _config(learner={"lora": {"rank": 8}})):
        pass
    assert not (tmp_path / "changes.jsonl").exists()
    _rewrite(tmp_path, lambda settings: settings.pop("reward"))
    with (
        pytest.raises(CheckpointError, match=r"reward\.variance_floor \(was 1e-06, now 0\.5\)"),
        RunDirectory(tmp_path, _config(learner={"lora": {"rank": 8}}, reward={"variance_floor": 0.5})),
    ):
        pass


def test_keys_that_this_version_does_not_know_are_dropped_with_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _begin(tmp_path, _config())
    _rewrite(tmp_path, lambda settings: settings["learner"].update(flash=True, lora={"of_old": {"a": 1}}))
    _rewrite(tmp_path, lambda settings: settings.update(extra={"a": 1}))
    with (
        pytest.raises(CheckpointError, match=r"learner\.lora\.rank \(was 64, now None\)"),
        RunDirectory(tmp_path, _config()),
    ):
        pass
    caplog.clear()
    _rewrite(tmp_path, lambda settings: settings["learner"].update(lora=None))
    for _ in range(2):
        with RunDirectory(tmp_path, _config()):
            pass
    [line] = [text for text in caplog.messages if "dropped" in text]
    assert "'extra'" in line
    assert "'learner.flash'" in line


def test_another_version_is_recorded(tmp_path: Path) -> None:
    _begin(tmp_path, _config())
    origin = json.loads((tmp_path / "origin.json").read_text())
    (tmp_path / "origin.json").write_text(json.dumps(origin | {"ray_iqa": "0.0.9"}))
    with RunDirectory(tmp_path, _config(), find_step=lambda: 6):
        pass
    [row] = [json.loads(line) for line in (tmp_path / "changes.jsonl").read_text().splitlines()]
    assert (row["step"], row["key"], row["before"], row["after"]) == (6, "ray_iqa", "0.0.9", __version__)
    assert json.loads((tmp_path / "origin.json").read_text())["ray_iqa"] == __version__


def test_images_per_step_of_texts_are_part_of_the_problem(tmp_path: Path) -> None:
    tree = {
        "run_dir": "/runs/a",
        "policy": {"model": "/models/tiny"},
        "texts": {"annotations": ["/data/a"]},
        "learner": {"kl_coef": 0},
    }
    _begin(tmp_path, FitRactConfig.model_validate(tree))
    changed = FitRactConfig.model_validate(tree | {"schedule": {"images_per_step": 8, "epochs": 2}})
    with (
        pytest.raises(CheckpointError, match=r"other settings: schedule\.images_per_step \(was 64, now 8\)"),
        RunDirectory(tmp_path, changed, change_learning=True),
    ):
        pass


def test_a_run_that_was_refused_before_it_began_may_be_corrected(tmp_path: Path) -> None:
    for weight in (1.0, 0.5):
        with RunDirectory(tmp_path, _config(reward={"variance_floor": weight})):
            pass
    assert json.loads((tmp_path / "resolved.json").read_text())["reward"]["variance_floor"] == 0.5


def test_resume_refuses_settings_that_change_results_and_names_them(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, _config()):
        (tmp_path / "metrics.jsonl").touch()
    changed = _config(reward={"variance_floor": 0.5}, learner={"lora": {"rank": 8}}, schedule={"num_steps": 9})
    with pytest.raises(CheckpointError) as caught, RunDirectory(tmp_path, changed):
        pass
    message = str(caught.value)
    assert "reward.variance_floor (was 1e-06, now 0.5)" in message
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
    with RunDirectory(tmp_path, _config(reward={"variance_floor": 0.5})):
        pass
