"""`ray-iqa export` where no engine is needed; test_train_command.py exports from a real run."""

import json
import shutil
from pathlib import Path

import pytest

from actors.cli import main
from ray_iqa.config.load import dump_config, load_config
from ray_iqa.config.train import TrainConfig

TOLD = {"step": 4, "policy_version": 3, "validation_srcc": 0.5, "best_srcc": 0.5}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A run directory whose fourth step validated best."""
    run_dir = tmp_path / "run"
    best = run_dir / "policy-best"
    best.mkdir(parents=True)
    (best / "config.json").write_text("{}")
    (best / "policy_version.json").write_text(json.dumps(TOLD))
    settings = [f"run_dir={run_dir}", "policy.model=any/model", "data.train=[a.csv]", "evaluation.manifests=[a.csv]"]
    config = load_config(TrainConfig, "configs/train/quickstart.yaml", settings)
    (run_dir / "resolved.json").write_text(dump_config(config))
    return run_dir


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_folder_that_holds_something_else_is_refused_and_stays(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, note = tmp_path / "mine", tmp_path / "note.txt"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    note.write_text("a note")
    before = names(finished)
    for out in (mine, note, finished, tmp_path):
        for step in ("best", "4"):
            assert main(["export", str(finished), "--step", step, "--out", str(out)]) == 1
            assert "--out must be a new folder or one of an earlier export" in capsys.readouterr().err
    assert (mine / "thesis.txt").read_text() == "years"
    assert note.read_text() == "a note"
    assert names(finished) == before


def test_an_earlier_export_is_replaced_and_keys_may_follow(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "policy"
    for stray in (".partial-new-policy", ".partial-old-policy"):  # of a killed export
        (out.parent / stray).mkdir(parents=True)
    for _ in range(2):
        assert main(["export", str(finished), "--step", "best", "--out", str(out), "--set", "learner.num_ranks=1"]) == 0
        assert json.loads((out / "policy_version.json").read_text()) == TOLD
        (out / "of_the_first.txt").touch()
    assert main(["export", str(finished), "--step", "best", "--out", str(out)]) == 0
    assert names(out) == {"config.json", "policy_version.json"}
    assert names(out.parent) == {"policy"}


def test_a_uri_of_checkpoints_is_a_run_too(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remote = tmp_path / "remote"
    (remote / "logs").mkdir(parents=True)
    shutil.copy(finished / "resolved.json", remote / "logs")
    shutil.copytree(finished / "policy-best", remote / "policy-best")
    export = ["export", f"file://{remote}", "--step"]
    assert main([*export, "best", "--out", str(tmp_path / "out")]) == 0
    assert names(tmp_path / "out") == {"config.json", "policy_version.json"}
    assert main([*export, "best"]) == 1
    assert "--out must name a folder" in capsys.readouterr().err
    assert main([*export, "7", "--out", str(tmp_path / "seven")]) == 1
    assert "or a checkpoint that" in capsys.readouterr().err
    (remote / "policy-best" / "policy_version.json").unlink()  # the last file of an upload that did not end
    assert main([*export, "best", "--out", str(tmp_path / "half")]) == 1
    assert "no validation of this run was better" in capsys.readouterr().err


@pytest.mark.parametrize(("run", "step"), [("nowhere", "best"), ("run", "newest"), ("run", "-1")])
def test_what_is_no_run_or_no_step_is_one_sentence(
    finished: Path, capsys: pytest.CaptureFixture[str], run: str, step: str
) -> None:
    assert main(["export", str(finished) if run == "run" else run, f"--step={step}"]) == 1
    [said] = capsys.readouterr().err.splitlines()
    assert "--step must be best" in said if run == "run" else "RUN must be a run directory" in said
