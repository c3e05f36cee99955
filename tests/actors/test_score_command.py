"""`ray-iqa score`, `convert-rali` and `export-onnx`: outputs and exit codes."""

import json
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from quickstart_runs import run

from actors.cli import main
from ray_iqa.rali.fit.basis import no_projection
from ray_iqa.rali.fit.small_clip import build_small_clip
from ray_iqa.rali.model.artifact import Artifact
from ray_iqa.rali.model.head import RaliHead, ScoreBasis
from ray_iqa.rali.scorer import RaliScorer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    home = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(0)
    basis = ScoreBasis(
        vectors=rng.normal(size=(9, 64)).astype(np.float32), scores=rng.uniform(1, 5, 9).astype(np.float32)
    )
    head = RaliHead.from_parts(no_projection(64), basis, temperature=0.07)
    artifact = Artifact(encoder=build_small_clip(home / "clip").image, head=head, provenance={})
    RaliScorer(artifact).save(home / "scorer")
    return str(home / "scorer")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two sound pictures, one of them deeper, a broken one, one that a model would enlarge to a giant, no picture."""
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    rng = np.random.default_rng(1)
    for name in ("b.png", "deep/a.JPG"):
        Image.fromarray(rng.integers(0, 256, (70, 60, 3), dtype=np.uint8)).save(folder / name)
    (folder / "c.webp").write_bytes(b"broken")
    Image.new("1", (1_000_000, 1)).save(folder / "d.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_folder_becomes_a_table(model: str, pictures: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out.{suffix}"
    assert main(["score", str(pictures), "--model", model, "--out", str(out)]) == 3
    read = {"csv": pd.read_csv, "jsonl": lambda file: pd.read_json(file, lines=True), "parquet": pd.read_parquet}
    table = read[suffix](out)
    assert [Path(path).name for path in table.path] == ["b.png", "c.webp", "d.png", "a.JPG"]
    assert table.status.to_list() == ["ok", "failed", "failed", "ok"]
    assert table.score.isna().to_list() == [False, True, True, False]
    assert "not a readable image" in table.reason[1]
    assert "one side may be at most 100 times the other, got 1000000 x 1" in table.reason[2]
    assert (table.scale_min == 1).all()
    assert (table.scale_max == 5).all()
    expected = RaliScorer.load(model).score([pictures / "b.png"])[0].value
    assert table.score[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", None])
def test_a_name_that_is_not_utf8_costs_nothing(
    model: str, pictures: Path, tmp_path: Path, suffix: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a folder, a sound picture and a broken one, in Latin-1; each is a row, with the byte as text."""
    folder = pictures.rename(os.fsdecode(bytes(pictures) + b"\xe9"))
    (folder / "b.png").rename(folder / os.fsdecode(b"b\xff.png"))
    (folder / "c.webp").rename(folder / os.fsdecode(b"c\x80.webp"))
    (folder / "plain\\xe9.png").write_bytes((folder / "deep" / "a.JPG").read_bytes())  # it is called so
    out = tmp_path / f"out.{suffix}"
    assert main(["score", str(folder), "--model", model, *(["--out", str(out)] if suffix else [])]) == 3
    if suffix is None:
        found = [line.split("\t")[1::-1] for line in capsys.readouterr().out.splitlines()]
    else:
        read = {"csv": pd.read_csv, "jsonl": lambda file: pd.read_json(file, lines=True), "parquet": pd.read_parquet}
        found = read[suffix](out)[["path", "status"]].to_numpy().tolist()
    names = [Path(path).name for path, _ in found]
    assert names == ["b\\xff.png", "c\\x80.webp", "d.png", "a.JPG", "plain\\xe9.png"]
    assert all(path.startswith(f"{pictures}\\xe9/") for path, _ in found)
    assert [status == "failed" for _, status in found] == [False, True, True, False, False]


def test_a_disk_that_is_full_after_the_work_does_not_cost_the_scores(
    model: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    (tmp_path / "out.csv").symlink_to("/dev/full")
    assert main(["score", str(pictures), "--model", model, "--out", str(tmp_path / "out.csv")]) == 1
    (kept,) = spare.iterdir()
    assert capsys.readouterr().err.endswith(f"another place; what was found is kept in {kept}\n")
    assert pd.read_csv(kept)["status"].tolist() == ["ok", "failed", "failed", "ok"]


def test_a_machine_without_any_room_prints_the_scores(
    model: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc")  # nothing can be written there
    (tmp_path / "out.csv").symlink_to("/dev/full")
    assert main(["score", str(pictures), "--model", model, "--out", str(tmp_path / "out.csv")]) == 1
    said = capsys.readouterr()
    assert [json.loads(line)["status"] for line in said.out.splitlines()] == ["ok", "failed", "failed", "ok"]
    assert said.err.endswith("what was found is on standard output, a JSON object a line\n")


def test_a_trace_that_the_disk_has_no_room_for_is_said(
    model: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace, limit = tmp_path / "traces" / "trace.json", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        assert main(["score", str(pictures / "b.png"), "--model", model, "--profile", str(trace)]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"ray-iqa: {trace} cannot be written: No space left")
    assert list(trace.parent.iterdir()) == []


def test_a_full_disk_after_the_work_leaves_the_scores_of_before(
    model: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("of before")
    (pictures / ("d" * 200)).mkdir()
    for number in range(30):
        shutil.copy(pictures / "c.webp", pictures / ("d" * 200) / f"{number}.png")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        assert main(["score", str(pictures), "--model", model, "--out", str(out)]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert out.read_text() == "of before"
    assert len(capsys.readouterr().out.splitlines()) == 34  # neither folder had room
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.csv"]


@pytest.mark.parametrize(
    ("names", "flags", "code"),
    [
        (["b.png", "deep/a.JPG"], [], 0),
        (["**/*"], [], 3),
        (["**/*"], ["--strict"], 1),
        (["c.webp"], [], 1),
        (["missing.png", "b.png"], [], 3),
        (["*.tiff"], [], 2),
        (["b.png"], ["--out", "x.xlsx"], 2),
        (["b.png"], ["--model", "/nowhere"], 1),
    ],
)
def test_exit_codes(model: str, pictures: Path, names: list[str], flags: list[str], code: int) -> None:
    paths = [str(pictures / name) for name in names]
    assert main(["score", *paths, "--model", model, *flags]) == code


def test_standard_output_is_score_and_path_alone(
    model: str, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(pictures / "b.png"), "--model", model]) == 0
    score, path = capsys.readouterr().out.rstrip("\n").split("\t")
    assert 1 <= float(score) <= 5
    assert path == str(pictures / "b.png")


def test_urls_are_scored_as_files_are(model: str, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", f"file://{pictures}/b.png", "--model", model]) == 0
    by_url = capsys.readouterr().out.split("\t")
    assert main(["score", str(pictures / "b.png"), "--model", model]) == 0
    assert by_url == [capsys.readouterr().out.split("\t")[0], f"file://{pictures}/b.png\n"]


def test_scoring_loads_neither_ray_nor_an_engine(model: str, pictures: Path) -> None:
    call = f"main(['score', {str(pictures / 'b.png')!r}, '--model', {model!r}])"
    seen = "print(json.dumps(sorted({'ray', 'vllm', 'deepspeed'} & set(sys.modules))))"
    script = f"import sys, json; from actors.cli import main; {call}; {seen}"
    assert json.loads(run([sys.executable, "-c", script]).stdout.splitlines()[-1]) == []


def test_onnx_file_and_conversion_errors(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-onnx", model, str(tmp_path / "scorer.onnx")]) == 0
    assert (tmp_path / "scorer.onnx").stat().st_size > 1_000_000
    assert main(["convert-rali", str(tmp_path), str(tmp_path / "out")]) == 1
    assert f"no file {tmp_path}/ckpt.pt; it must be a checkpoint of tensors" in capsys.readouterr().err


def test_profile_is_a_trace_and_a_table(
    model: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "new" / "trace.json"
    assert main(["score", str(pictures / "b.png"), "--model", model, "--profile", str(trace)]) == 0
    events = json.loads(trace.read_text())["traceEvents"]
    seconds = {
        name: sum(e["dur"] for e in events if e.get("name") == name) for name in ("tower and head", "aten::addmm")
    }
    assert 0 < seconds["aten::addmm"] < seconds["tower and head"]
    assert "decode and preprocess" in capsys.readouterr().err

    (tmp_path / "file").touch()
    assert main(["score", str(pictures), "--model", model, "--profile", str(tmp_path / "file" / "trace.json")]) == 1
    assert "trace.json cannot be written: Not a directory" in capsys.readouterr().err
