"""`ray-iqa fit-rali` on real Ray Train workers: what it leaves behind, and what a killed worker changes."""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from chaos import descendants
from quickstart_runs import REPOSITORY, Start, refusal, run
from taught_records import taught_records
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ray_iqa.config.jobs.fit_rali import FitRaliConfig
from ray_iqa.config.load import load_config
from ray_iqa.rali.annotations.records import records_to_table, table_to_records
from ray_iqa.rali.annotations.verdicts import embed_texts
from ray_iqa.rali.fit.data import RecordedTexts, fit_images
from ray_iqa.rali.fit.small_clip import build_small_clip
from ray_iqa.rali.fit.stages import fit_in_process
from ray_iqa.rali.model.encoders import load_clip
from ray_iqa.rali.scorer import RaliScorer

CONFIG = "configs/rali/fit_small.yaml"
pytestmark = [pytest.mark.usefixtures("commands_join"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def annotations(start: Start, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file as annotation writes it, by a teacher that sees and judges without error, and the CLIP it is for."""
    home = tmp_path_factory.mktemp("annotations")
    clip = build_small_clip(home / "clip")
    table = records_to_table(embed_texts(taught_records(start), clip.text, str(home / "clip")))
    (home / "records").mkdir()
    pq.write_table(table, home / "records" / "part-000000.parquet")
    return home, home / "clip"


def command(annotations: tuple[Path, Path], run_dir: Path, *overrides: str) -> list[str]:
    """5 epochs of 270 pictures on two workers."""
    home, clip = annotations
    settings = [
        f"run_dir={run_dir}",
        f"annotations=[{home}]",
        f"fit.backbone.name={clip}",
        "fit.alignment.epochs=5",
        "fit.projection.num_components=32",
        "fit.basis.num_buckets=20",
        "fit.basis.num_vectors=24",
        "workers.num_workers=2",
        "workers.num_threads=1",
        "cluster.cpus_per_actor=0.5",
    ]
    return [
        sys.executable,
        "-m",
        "actors",
        "fit-rali",
        "--config",
        CONFIG,
        *settings,
        *overrides,
    ]


def rows(run_dir: Path) -> list[dict[str, float]]:
    file = run_dir / "metrics.jsonl"
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


@pytest.fixture(scope="module")
def killed(annotations: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directory of a fit of which one of two workers was killed after the second epoch."""
    run_dir = tmp_path_factory.mktemp("killed")
    fit = command(annotations, run_dir)
    process = subprocess.Popen(fit, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while len(rows(run_dir)) < 3:
        assert process.poll() is None, f"ended with {process.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    workers = [worker for worker, title in descendants() if title.startswith("ray::RayTrainWorker")]
    min(workers, key=lambda worker: worker.create_time()).kill()
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    assert "Held-out slice of the training images, " in said
    assert " contents that the fit did not see, against " in said
    assert len(list((run_dir / "tensorboard").iterdir())) > 1  # one file for each start of the workers
    return run_dir


def test_a_fit_leaves_curves_checkpoints_and_a_scorer(killed: Path, start: Start) -> None:
    log = rows(killed)
    assert [row["step"] for row in log] == [0, 1, 2, 3, 4, 5, 6]
    assert log[5]["alignment/loss"] < log[1]["alignment/loss"]
    assert log[6]["fit/mse"] <= log[6]["fit/mse_before_fine_tuning"]
    curves = EventAccumulator(str(killed / "tensorboard")).Reload()
    assert [point.step for point in curves.Scalars("alignment/probe_srcc")] == [0, 1, 2, 3, 4, 5]
    # Of six the last two, and those of which Ray does not know since a worker was killed as they were being reported.
    assert 2 <= len(list((killed / "checkpoints").glob("checkpoint_*/alignment.pt"))) < 6
    scorer = RaliScorer.load(killed / "scorer")
    assert scorer.artifact.provenance["num_held_out"] == 30
    picture = next(start.manifests[0].parent.glob("test/*.png"))
    assert scorer.score([picture])[0].status == "ok"


def test_two_workers_of_which_one_is_killed_fit_what_one_process_fits(
    annotations: tuple[Path, Path], killed: Path
) -> None:
    fit = load_config(FitRaliConfig, CONFIG, command(annotations, killed)[6:]).fit
    records = table_to_records(pq.read_table(annotations[0] / "records" / "part-000000.parquet"))
    clip = load_clip(fit.backbone.name, None)
    losses: dict[int, float] = {}

    def log(epoch: int, figures: dict[str, float]) -> None:
        losses[epoch] = figures.get("alignment/loss", math.nan)

    scorer = fit_in_process(clip, fit_images(records, fit.target), fit, log, RecordedTexts(records, clip.name))
    found = rows(killed)
    assert [row["alignment/loss"] for row in found[1:6]] == pytest.approx([losses[n] for n in range(1, 6)], rel=1e-4)
    expected = {f"fit/{name}": value for name, value in scorer.artifact.provenance["held_out"].items()}
    assert found[6] == pytest.approx(expected | {"step": 6}, rel=1e-3, abs=1e-3)


@pytest.mark.long
def test_an_ablation_is_one_key(annotations: tuple[Path, Path], tmp_path: Path) -> None:
    done = run(command(annotations, tmp_path, "fit.alignment.enabled=false", "workers.num_workers=1"))
    assert done.returncode == 0, done.stderr[-3000:]
    [row] = rows(tmp_path)
    assert row.keys() == {"step", "fit/srcc", "fit/plcc", "fit/mse", "fit/mse_before_fine_tuning"}
    assert row["fit/mse"] <= row["fit/mse_before_fine_tuning"]
    fitted = RaliScorer.load(tmp_path / "scorer").artifact.encoder.tower.state_dict()
    backbone = load_clip(str(annotations[1])).image.tower.state_dict()  # random weights, so no rank is to be expected
    assert all(torch.equal(fitted[name], value) for name, value in backbone.items())


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("annotations=[nowhere]", "found none at"),
        ("fit.target=mos", "target mos needs one data set"),
        ("fit.backbone.name=ViT-B-32", "texts must be embedded by the backbone of the fit, 'ViT-B-32'"),
        ("fit.basis.num_vectors=5", "num_vectors must be at least num_buckets, got 5 < 20"),
    ],
)
def test_what_cannot_work_is_one_sentence(
    annotations: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, sentence: str
) -> None:
    assert sentence in refusal(command(annotations, tmp_path, override), capsys)
