"""`ray-iqa annotate` on the real engines: every picture and text once, whatever happens to the job."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from quickstart_runs import REPOSITORY, Start, refusal, run

from actors.jobs.annotation_stages import Reasoner, TextWriter, decode
from ray_iqa.config.jobs.annotate import AnnotateConfig
from ray_iqa.config.load import load_config
from ray_iqa.policy.exported_version import write_policy_version
from ray_iqa.rali.annotations.pictures import blocks, read_pictures
from ray_iqa.rali.annotations.records import RECORD_SCHEMA
from ray_iqa.rali.fit.small_clip import build_small_clip
from ray_iqa.types import Progress

pytestmark = [pytest.mark.usefixtures("commands_join"), pytest.mark.timeout(900)]
CONFIG = "configs/rali/annotate_small.yaml"
NUM_TEXTS = 3
KEY = ["dataset", "image_id", "text_index"]


@pytest.fixture(scope="module")
def inputs(start: Start, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Settings of a job on 60 labelled pictures, and a folder with a sound, a broken and a refused one."""
    home = tmp_path_factory.mktemp("inputs")
    build_small_clip(home / "clip")
    shutil.copytree(start.policy, home / "policy")
    write_policy_version(home / "policy", Progress(step=200, policy_version=200))
    folder = home / "folder"
    folder.mkdir()
    Image.new("RGB", (56, 56), "gray").save(folder / "sound.png")
    Image.new("RGB", (4000, 4)).save(folder / "refused.png")  # the model takes no picture so far from a square
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    sources = json.dumps([str(path) for path in start.manifests] + [str(folder)])
    return [
        f"policy.model={home / 'policy'}",
        f"images.sources={sources}",
        "images.max_per_dataset=30",
        f"texts_per_image={NUM_TEXTS}",
        "rollout.num_completions=4",
        "rollout.num_threads=1",
        "pipeline.cpus_per_decoder=1",
        f"backbone.name={home / 'clip'}",
    ]


def command(inputs: list[str], run_dir: Path, *overrides: str) -> list[str]:
    settings = [*inputs, f"run_dir={run_dir}", *overrides]
    return [sys.executable, "-m", "actors", "annotate", "--config", CONFIG, *settings]


def kill_after(job: list[str], records: Path, num_files: int) -> None:
    """Start a job and kill it with SIGKILL once so many files are there, or when the test ends early."""
    process = subprocess.Popen(job, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while len(list(records.glob("part-*"))) < num_files:
            assert process.poll() is None, f"ended with {process.returncode}"
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()


def rows(run_dir: Path) -> pd.DataFrame:
    return pd.read_parquet(run_dir / "records").sort_values(KEY, ignore_index=True)


@pytest.fixture(scope="module")
def killed(inputs: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directory of a job that was killed after two files and started again."""
    run_dir = tmp_path_factory.mktemp("killed")
    kill_after(command(inputs, run_dir, "pipeline.batch_size=4"), run_dir / "records", num_files=2)
    assert 0 < len(rows(run_dir).drop_duplicates(["dataset", "image_id"])) < 60
    done = run(command(inputs, run_dir))
    assert done.returncode == 3, done.stderr[-3000:]
    return run_dir


def test_rows_follow_the_schema_and_name_what_failed(killed: Path) -> None:
    [*files] = (killed / "records").glob("*.parquet")
    assert all(pq.read_schema(file).equals(RECORD_SCHEMA) for file in files)
    table = rows(killed)
    assert not table.duplicated(KEY).any()
    assert (table.policy_version == 200).all()
    labelled = table[table.dataset != "images"]
    assert labelled.groupby(["dataset", "image_id"]).size().eq(NUM_TEXTS).all()
    assert labelled.groupby("dataset").image_id.nunique().to_dict() == {"ladder-a": 30, "ladder-b": 30}
    assert labelled.mapped_mos.between(1, 5).all()
    lower = labelled[labelled.dataset == "ladder-b"]  # 0 is the best of 0 to 100
    assert (lower.mapped_mos - (5 - lower.mos / 25)).abs().max() < 1e-9

    good = labelled[labelled.status == "ok"]
    assert len(good) > 0.8 * len(labelled)
    assert good.teacher_score.between(1, 5).all()
    assert good.reasoning.str.contains("looks").mean() > 0.8
    assert not good.truncated.any()
    assert good.num_tokens.ge(3).all()  # a word between start and end
    assert all(len(vectors) == 1 and len(vectors[0]) == 64 for vectors in good.text_embeddings)

    others = table[table.dataset == "images"].set_index(
        table[table.dataset == "images"].image_path.map(os.path.basename)
    )
    assert others.mos.isna().all()
    assert (others.loc[["broken.jpg", "refused.png"]].status == "failed").all()
    assert "not a readable image" in others.loc["broken.jpg"].reason
    assert "one side may be at most 100 times the other" in others.loc["refused.png"].reason


def test_a_killed_job_resumes_to_the_rows_of_one_process(inputs: list[str], killed: Path, tmp_path: Path) -> None:
    """All pictures in one batch, without Ray."""
    config = load_config(AnnotateConfig, CONFIG, [*inputs, f"run_dir={tmp_path}"])
    [pictures] = blocks(read_pictures(config.images), size=1000)
    [file] = TextWriter(config, tmp_path)(Reasoner(config)(decode(pictures)))["file"].to_pylist()
    expected = pq.read_table(tmp_path / file).to_pandas().sort_values(KEY, ignore_index=True)
    pd.testing.assert_frame_equal(rows(killed), expected)
    assert not list((killed / "records").glob(".partial-*"))


@pytest.mark.long
def test_three_kills_leave_every_row_once(inputs: list[str], tmp_path: Path) -> None:
    """All 300 training pictures of both data sets."""
    all_of_them = command(inputs, tmp_path, "images.max_per_dataset=null", "pipeline.batch_size=8")
    for kill in range(1, 4):
        before = len(list((tmp_path / "records").glob("part-*")))
        kill_after(all_of_them, tmp_path / "records", num_files=before + 3 * kill)
    assert run(all_of_them).returncode == 3
    table = rows(tmp_path)
    assert not table.duplicated(KEY).any()
    assert table[table.dataset != "images"].groupby(["dataset", "image_id"]).size().eq(NUM_TEXTS).all()
    assert table[table.dataset != "images"].image_id.nunique() == 300


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("policy.prompt=non-thinking", "must ask for reasoning"),
        ("images.sources=[nowhere.csv]", "no 'nowhere.csv'"),
        ("texts_per_image=9", "rollout.num_completions must be at least texts_per_image, got 4 < 9"),
    ],
)
def test_what_cannot_work_is_one_sentence(
    inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, sentence: str
) -> None:
    assert sentence in refusal(command(inputs, tmp_path, override), capsys)
