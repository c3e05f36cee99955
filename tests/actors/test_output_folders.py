"""A job whose results would vanish with the job's working directory is refused before anything is started."""

import json
import re
from pathlib import Path

import pytest
from quickstart_runs import refusal

from actors.cli import main

PROGRAM = ["python", "-m", "actors"]
JOBS = {"annotate": "annotate", "fit-rali": "fit", "fit-ract": "ract", "batch-score": "batch_score"}


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")


@pytest.mark.usefixtures("submitted")
@pytest.mark.parametrize("job", JOBS)
def test_a_relative_run_dir_in_a_submitted_job(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*PROGRAM, job, "--config", f"configs/rali/{JOBS[job]}.yaml", "run_dir=runs/here"]
    expected = "run_dir must be absolute in a submitted job, so that it outlives it, got 'runs/here'"
    assert expected in refusal(arguments, capsys)


@pytest.mark.parametrize("job", JOBS)
def test_a_run_dir_at_a_uri(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*PROGRAM, job, "--config", f"configs/rali/{JOBS[job]}.yaml", "run_dir=s3://bucket/run"]
    assert "run_dir must be a path, got 's3://bucket/run'" in refusal(arguments, capsys)


@pytest.mark.parametrize("job", JOBS)
def test_a_run_dir_of_nothing_is_not_the_working_directory(
    job: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(f"configs/rali/{JOBS[job]}.yaml").read_text()
    (tmp_path / "c.yaml").write_text(re.sub(r"(?m)^run_dir: .*$", 'run_dir: ""', text))
    assert "run_dir must be a path, got ''" in refusal([*PROGRAM, job, "--config", f"{tmp_path}/c.yaml"], capsys)


@pytest.mark.usefixtures("submitted")
def test_a_relative_folder_of_results_in_a_submitted_job(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*PROGRAM, "eval", "--model", "csv:a.csv:score", "--data", "a.csv", "--out", "results"]
    assert "--out must be absolute in a submitted job, so that it outlives it, got 'results'" in refusal(
        arguments, capsys
    )


@pytest.mark.parametrize(
    ("file", "words", "device"),
    [
        ({}, [], "cpu"),
        ({"cluster": {"cpus_per_actor": 2}}, [], "cpu"),
        ({"cluster": {"device": "cuda"}}, [], "cuda"),
        ({"cluster": {"device": "cuda"}}, ["--device", "cpu"], "cpu"),
        ({}, ["--device", "cuda"], "cuda"),
        ({}, ["cluster.device=cuda"], "cuda"),
    ],
)
def test_eval_takes_the_device_of_the_file_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: dict[str, object], words: list[str], device: str
) -> None:
    found = []
    monkeypatch.setattr("actors.jobs.evaluate.evaluate", lambda config: found.append(config.cluster.device) or 0)
    (tmp_path / "eval.yaml").write_text(json.dumps(file))
    models = ["--model", "csv:a.csv:score", "--data", "a.csv", "--out", str(tmp_path)]
    assert main(["eval", "--config", str(tmp_path / "eval.yaml"), *models, *words]) == 0
    assert found == [device]
