"""`ray-iqa track` and `compare` on real pictures and a real scorer, though one with random weights."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from actors.cli import main
from actors.commands.compare import compare_pictures
from ray_iqa.evaluation.records import PredictionRow, write_predictions
from ray_iqa.rali.fit.basis import no_projection
from ray_iqa.rali.fit.small_clip import build_small_clip
from ray_iqa.rali.model.artifact import Artifact
from ray_iqa.rali.model.head import RaliHead, ScoreBasis
from ray_iqa.rali.scorer import RaliScorer

NUM_PROMPTS = 24


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    home = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(0)
    basis = ScoreBasis(
        vectors=rng.normal(size=(9, 64)).astype(np.float32), scores=rng.uniform(1, 5, 9).astype(np.float32)
    )
    head = RaliHead.from_parts(no_projection(64), basis, temperature=0.07)
    RaliScorer(Artifact(encoder=build_small_clip(home / "clip").image, head=head, provenance={})).save(home / "scorer")
    return str(home / "scorer")


@pytest.fixture(scope="module")
def samples(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Steps 1, 2 and 10: noise, the same noise, and flat grey of the same prompts, or the other way round.

    Random weights like one of the two better; the better one is at step 10.
    """
    home = tmp_path_factory.mktemp("samples")
    rng = np.random.default_rng(1)
    for prompt in range(NUM_PROMPTS):
        noise = rng.integers(0, 256, (56, 56, 3), dtype=np.uint8)
        flat = np.full_like(noise, rng.integers(60, 200))
        for name, pixels in (("noise", noise), ("flat", flat)):
            (home / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(home / name / f"prompt {prompt}.png")
    scorer = RaliScorer.load(model)
    means = {name: np.mean([_value(scorer, path) for path in (home / name).iterdir()]) for name in ("noise", "flat")}
    worse, better = sorted(means, key=lambda name: means[name])
    (home / "steps").mkdir()
    shutil.copytree(home / worse, home / "steps" / "step-1")
    shutil.copytree(home / worse, home / "steps" / "step-2")
    shutil.copytree(home / better, home / "steps" / "step-10")
    return home / "steps"


def _value(scorer: RaliScorer, path: Path) -> float:
    found = scorer.score([path])[0].value
    assert found is not None
    return found


def test_track_says_when_samples_got_better(
    model: str, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "track"
    assert main(["track", str(samples), "--model", model, "--out", str(out)]) == 0
    scores = pd.read_csv(out / "scores.csv")
    assert len(scores) == 3 * NUM_PROMPTS
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 10]
    for row, name in zip(rows, ("step-1", "step-2", "step-10"), strict=True):
        own = scores[scores.path.str.contains(f"{name}/", regex=False)].score
        assert row["score/mean"] == pytest.approx(own.mean())
        assert row["score/low"] < row["score/mean"] < row["score/high"]
    assert rows[1]["since_first/mean"] == 0.0
    assert rows[2]["since_first/mean"] == pytest.approx(rows[2]["score/mean"] - rows[0]["score/mean"])
    assert rows[2]["since_previous/low"] > 0
    assert rows[2]["since_first/p_value"] < 0.01
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("score/mean")] == [1, 2, 10]
    assert "paired by prompt" in capsys.readouterr().out


def test_track_counts_what_cannot_be_scored(model: str, samples: Path, tmp_path: Path) -> None:
    shutil.copytree(samples, tmp_path / "steps")
    (tmp_path / "steps" / "step-2" / "prompt 0.png").write_bytes(b"broken")
    for picture in (tmp_path / "steps" / "step-1").iterdir():
        Image.new("L", (1000, 1)).save(picture)
    folders = [str(path) for path in sorted((tmp_path / "steps").iterdir())]
    assert main(["track", *folders, "--model", model, "--out", str(tmp_path / "out")]) == 3
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [row["pictures/failed"] for row in rows] == [NUM_PROMPTS, 1, 0]
    assert [row["score/mean"] is None for row in rows] == [True, False, False]
    assert rows[2]["since_previous/pairs"] == NUM_PROMPTS - 1
    reasons = pd.read_csv(tmp_path / "out" / "scores.csv").reason
    assert reasons.str.contains("at most 100 times the other, got 1000 x 1").sum() == NUM_PROMPTS


def test_compare_is_a_gate(model: str, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def gate(before: Path, after: Path, *options: str) -> int:
        return main(["compare", str(before), str(after), "--model", model, *options])

    worse, better = samples / "step-1", samples / "step-10"
    assert gate(worse, better) == 0
    assert gate(worse, worse) == 0
    assert gate(better, worse) == 4
    assert "B is worse than A." in capsys.readouterr().out
    assert gate(better, worse, "--tolerance", "4") == 0
    shutil.copytree(better, tmp_path / "fewer")
    (tmp_path / "fewer" / "prompt 3.png").unlink()
    (tmp_path / "fewer" / "prompt 4.png").write_bytes(b"broken")
    capsys.readouterr()
    assert gate(worse, tmp_path / "fewer") == 3
    assert f"failed\t{tmp_path}/fewer/prompt 4.png\t" in capsys.readouterr().out
    assert gate(worse, samples) == 1  # names one folder deeper have no partner
    assert "at least 6 pictures of the same name" in capsys.readouterr().err


def test_a_tolerance_is_tested_and_not_only_subtracted() -> None:
    rng = np.random.default_rng(0)
    before = {str(i): float(value) for i, value in enumerate(rng.normal(3, 1, 50))}
    after = {prompt: score - 0.11 + 0.05 * rng.standard_normal() for prompt, score in before.items()}
    assert compare_pictures(before, after, tolerance=0.0, seed=0) == 4
    assert compare_pictures(before, after, tolerance=0.05, seed=0) == 4
    assert compare_pictures(before, after, tolerance=0.11, seed=0) == 0
    assert compare_pictures(before, after | {"new": 3.0}, tolerance=0.2, seed=0) == 3


@pytest.fixture
def evaluation(tmp_path: Path) -> Callable[[str, float], Path]:
    """A folder of predictions whose scores are the MOS plus noise."""

    def write(model: str, noise: float) -> Path:
        rng = np.random.default_rng(int(100 * noise))
        rows = [
            PredictionRow(
                model=model,
                dataset="d",
                image_id=str(i),
                image_path=f"{i}.png",
                mos=float(i),
                direction="higher",
                mos_low=0.0,
                mos_high=100.0,
                score=i + noise * rng.standard_normal(),
                status="ok",
            )
            for i in range(80)
        ]
        write_predictions(tmp_path / model, rows)
        return tmp_path / model

    return write


def test_compare_reads_evaluations_too(
    evaluation: Callable[[str, float], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sharp, blunt = str(evaluation("sharp", 2.0)), str(evaluation("blunt", 30.0))
    assert main(["compare", blunt, sharp]) == 0
    assert "d: sharp against blunt: SRCC +0." in capsys.readouterr().out
    assert main(["compare", sharp, blunt]) == 4
    assert main(["compare", sharp, blunt, "--tolerance", "0.9"]) == 0
    assert main(["compare", sharp, str(tmp_path)]) == 1
    assert "A and B must be of one kind" in capsys.readouterr().err


def test_equal_models_on_many_datasets_do_not_close_the_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On one of eight datasets the model lost by chance, p = .014 alone; over all of them that is nothing."""
    rng = np.random.default_rng(37)

    def write(name: str) -> str:
        rows = [
            PredictionRow(
                model="m",
                dataset=f"d{dataset}",
                image_id=str(i),
                image_path=f"{i}.png",
                mos=float(i),
                direction="higher",
                mos_low=0.0,
                mos_high=40.0,
                score=i + 15 * rng.standard_normal(),
                status="ok",
            )
            for dataset in range(8)
            for i in range(40)
        ]
        write_predictions(tmp_path / name, rows)
        return str(tmp_path / name)

    before, after = write("before"), write("after")
    assert main(["compare", before, after]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "(Holm)" in line]
    assert len(lines) == 8
    assert "40 images of 40 contents" in lines[0]
    (lost,) = [line for line in lines if line.count("-0.") == 3]  # an interval below zero
    assert "p 0.109 (Holm)" in lost


def test_models_of_mixed_evaluations_are_paired_by_name(
    evaluation: Callable[[str, float], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ray_iqa.evaluation.records import read_predictions

    rows = read_predictions(evaluation("one", 2.0))
    write_predictions(tmp_path / "two", [*rows, *(replace(row, model="other") for row in rows)])
    assert main(["compare", str(tmp_path / "one"), str(tmp_path / "two")]) == 0
    write_predictions(tmp_path / "part", [replace(row, dataset="e") if row.image_id < "3" else row for row in rows])
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "one"), str(tmp_path / "part")]) == 3
    both = sum(row.image_id >= "3" for row in rows)
    said = capsys.readouterr().out
    assert f"{both} images" in said
    assert f"{2 * (80 - both)} images of these models are in one evaluation only." in said
    write_predictions(tmp_path / "twice", [*rows, rows[7]])
    assert main(["compare", str(tmp_path / "one"), str(tmp_path / "twice")]) == 1
    sentence = "row 81: image '7' of dataset 'd' by model 'one' is already at"
    assert sentence in capsys.readouterr().err
    write_predictions(tmp_path / "three", [replace(row, model=name) for row in rows for name in ("x", "y")])
    assert main(["compare", str(tmp_path / "one"), str(tmp_path / "three")]) == 1
    assert "A has one, B has x, y" in capsys.readouterr().err
