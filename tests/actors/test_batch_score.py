"""`ray-iqa batch-score`: the same scores as in process, once each, from every kind of source, after a kill too.

The long form, 100,000 pictures, is benchmarks/batch_score.py.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from quickstart_runs import REPOSITORY, refusal, run
from small_scorer import write_small_scorer

from actors.jobs.batch_score import SCORE_SCHEMA
from ray_iqa.rali.scorer import RaliScorer

pytestmark = [pytest.mark.usefixtures("commands_join"), pytest.mark.timeout(600)]
JOB = [sys.executable, "-m", "actors", "batch-score", "--config", "configs/rali/batch_score.yaml"]
NUM_PICTURES = 2000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_scorer(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A folder, a pattern, a Parquet list of URLs and the prefix of an object store, which share some pictures."""
    home = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(1)
    folders = [home / name for name in ("folder", "pattern", "list", "store")]
    for number in range(NUM_PICTURES - 2):
        folder = folders[number % 4]
        folder.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 20, 3), dtype=np.uint8)).save(folder / f"{number:04d}.png")
    (folders[0] / "broken.png").write_bytes(b"broken")
    urls = [f"file://{path}" for path in [*sorted(folders[2].iterdir()), folders[2] / "missing.png"]]
    pd.DataFrame({"path": urls}).to_parquet(home / "list.parquet")
    return [str(folders[0]), f"{folders[1]}/*.png", str(home / "list.parquet"), f"file://{folders[3]}", str(folders[0])]


def test_a_killed_job_ends_with_every_score_once(model: Path, sources: list[str], tmp_path: Path) -> None:
    settings = [f"run_dir={tmp_path}", f"model={model}", f"images.sources={json.dumps(sources)}"]
    settings.append("pipeline.cpus_per_decoder=1")  # a few processes, each of which starts for two seconds
    job = [*JOB, *settings, "pipeline.batch_size=16"]
    process = subprocess.Popen(job, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while len(list((tmp_path / "scores").glob("part-*"))) < 4:
        assert process.poll() is None, f"ended with {process.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=300)
    num_before = len(pd.read_parquet(tmp_path / "scores"))
    assert 0 < num_before < NUM_PICTURES
    assert not (tmp_path / "run.json").exists()

    trace = tmp_path / "traces" / "batch.json"
    done = run([*JOB, *settings, "pipeline.batch_size=64", f"pipeline.profile={trace}"])
    assert done.returncode == 3, done.stderr[-3000:]
    assert "1,998 scored, 2 failed" in done.stdout
    table = pd.read_parquet(tmp_path / "scores").sort_values("image_path", ignore_index=True)
    assert table.columns.to_list() == SCORE_SCHEMA.names
    assert len(table) == NUM_PICTURES
    assert table.image_id.is_unique
    failed = {Path(row.image_path).name: row.reason for row in table[table.status == "failed"].itertuples()}
    assert failed.keys() == {"missing.png", "broken.png"}
    assert failed["missing.png"].endswith("missing.png: no such file")
    assert "not a readable image" in failed["broken.png"]
    expected = [row.value for row in RaliScorer.load(model).score(table.image_path.to_list()[::7])]
    np.testing.assert_allclose(table.score.astype(float)[::7], np.array(expected, dtype=float), atol=1e-4)

    manifest = json.loads((tmp_path / "run.json").read_text())
    assert (manifest["device"], manifest["precision"]) == ("cpu", "fp32")
    (record,) = manifest["jobs"]
    assert record["num_images"] == NUM_PICTURES - num_before
    assert record["images_per_second"] > 0
    assert "tower and head" in {event["name"] for event in json.loads(trace.read_text())["traceEvents"]}
    assert "Self CPU" in trace.with_name("batch.json.txt").read_text()


def test_a_missing_model_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal([*JOB, f"run_dir={tmp_path}", "model=/nowhere", f"images.sources=[{tmp_path}]"], capsys)
    assert said == "ray-iqa: model must be a folder written by fit-rali or convert-rali, got '/nowhere'\n"


def test_int8_on_a_gpu_is_one_sentence(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [f"run_dir={tmp_path}", f"model={model}", f"images.sources=[{tmp_path}]", "precision=int8"]
    said = refusal([*JOB, *settings, "pipeline.gpus_per_scorer=1"], capsys)
    assert said == "ray-iqa: precision int8 needs device cpu, got 'cuda'; take bf16 there\n"


def test_a_worker_that_cannot_write_is_one_sentence(model: Path, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "scores").symlink_to("/proc")  # where nobody can make files
    settings = [f"run_dir={tmp_path}/run", f"model={model}", f"images.sources={tmp_path}/a.png"]
    done = subprocess.run([*JOB, *settings], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ray-iqa: {tmp_path}/run/scores/.partial-"), done.stderr
    assert last.endswith(" cannot be written: No such file or directory; choose another place")
