"""What users can cause ends in one sentence, mistakes of the program in a traceback; places are refused at once."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from actors.cli import main
from actors.exit_codes import UNREAD

PROGRAM = [sys.executable, "-m", "actors"]
TRAIN = "configs/train/quickstart.yaml"
ROWS = "dataset,image_id,path,mos,direction,ref_id\n" + "".join(f"d,{n},{n}.png,{n},higher,r{n}\n" for n in range(9))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "m.csv").write_text(ROWS)
    return tmp_path / "m.csv"


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says that fails in one sentence."""
    assert main(words) == 1
    said = capsys.readouterr().err
    assert said.startswith("ray-iqa: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    "words",
    [
        ["score", ""],
        ["score", "a.png", "--model", ""],
        ["score", "a.png", "--out="],
        ["track", ""],
        ["compare", "a", ""],
        ["report", ""],
        ["report", "a", "--out", ""],
        ["convert-rali", "", "out"],
        ["export-onnx", "model", ""],
        ["data", "check", ""],
        ["data", "convert", "--from", "pyiqa", "", "out.csv"],
        ["data", "convert", "--from", "pyiqa", "--images", "", "a.csv", "out.csv"],
        ["data", "split", "m.csv", ""],
        ["data", "synth", ""],
        ["train", "--config", ""],
        ["demo", "--run-dir", ""],
        ["eval", "--model", "m", "--data", "", "--out", "o"],
        ["serve", "check", ""],
    ],
    ids=" ".join,
)
def test_an_empty_argument_is_no_path(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "is empty; is a variable of the shell not set?" in refusal(words, capsys)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["score", "a\0b"], "no argument may hold a NUL character"),
        (["train", "--config", TRAIN, "run_dir=/caf\udce9"], r"got run_dir=/caf\xe9; make a link to it"),
        (["train", "--config", TRAIN, "run_dir="], "override 'run_dir=' has no value"),
        (
            ["eval", "--model", "csv:{folder}/m.csv:mos", "--data", "kadid10k=", "--out", "{folder}/o"],
            "NAME=FOLDER of a public dataset",
        ),
    ],
)
def test_an_argument_that_is_half_empty(
    tmp_path: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refusal([word.format(folder=tmp_path) for word in words], capsys)


@pytest.mark.parametrize(
    "words",
    [
        ["score", "{folder}/a.png", "--out", "{place}/o.csv"],
        ["score", "{folder}/a.png", "--out", "{folder}/folder.csv"],
        ["score", "{folder}/a.png", "--out", "s3://bucket/o.csv"],
        ["track", "{folder}", "--out", "{place}"],
        ["report", "{folder}", "--out", "{place}/r.html"],
        ["convert-rali", "{folder}", "{place}"],
        ["export-onnx", "{folder}", "{place}/m.onnx"],
        ["data", "split", "{folder}/m.csv", "{place}/o.csv"],
        ["data", "split", "{folder}/m.csv", "{folder}/folder.csv"],
        ["data", "convert", "--from", "manifest", "{folder}/m.csv", "{place}/o.csv"],
        ["data", "convert", "--from", "manifest", "--to", "deqa", "{folder}/m.csv", "{place}"],
        ["data", "synth", "{place}"],
        ["eval", "--model", "csv:{folder}/m.csv:mos", "--data", "{folder}/m.csv", "--out", "{place}"],
        ["score", "{folder}/a.png", "--profile", "{place}/trace.json"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("place", ["{folder}/file/new", "/proc/none"])  # root may write where permissions forbid it
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    manifest: Path, words: list[str], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = manifest.parent
    (folder / "file").touch()
    (folder / "folder.csv").mkdir()
    (folder / "metrics.jsonl").write_text('{"step": 1}\n')
    Image.new("RGB", (64, 64)).save(folder / "a.png")
    place = place.format(folder=folder)
    words = [word.format(folder=folder, place=place) for word in words]
    said = refusal(words, capsys)
    assert "cannot be written" in said or "must be a path of the file system, got 's3://bucket/o.csv'" in said
    assert {entry.name for entry in folder.iterdir()} == {"file", "folder.csv", "m.csv", "metrics.jsonl", "a.png"}


def test_a_full_disk_leaves_the_labels_that_are_there(manifest: Path) -> None:
    """The kernel refuses files beyond a limit, to root too, as a full disk would."""
    done = subprocess.run(
        [*PROGRAM, "data", "split", str(manifest), str(manifest)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    assert done.returncode == 1
    assert (
        done.stderr
        == f"ray-iqa: {manifest} cannot be written: File too large; free some space there or choose another place\n"
    )
    assert manifest.read_text() == ROWS
    assert list(manifest.parent.iterdir()) == [manifest]


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("> /dev/full", 1, "ray-iqa: No space left on device: free some space, then run the same command again\n"),
    ],
)
def test_standard_output_that_goes_nowhere(redirection: str, code: int, said: str) -> None:
    line = f"{sys.executable} -m actors data list {redirection}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize(("words", "code"), [(["data", "list"], UNREAD), (["--help"], 0)])
def test_a_reader_that_went_away_is_no_failure_of_ours(words: list[str], code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*PROGRAM, *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")


BINARY = b"\x89PNG\r\n\x1a\n\xff\xfe\0"


@pytest.mark.parametrize("kind", ["folder", "loop", "file/x", "long", "binary"])
@pytest.mark.parametrize(
    "words",
    [
        ["data", "check", "{}.csv"],
        ["data", "check", "{}.jsonl"],
        ["data", "check", "{}.parquet"],
        ["data", "split", "m.csv", "o.csv", "--list", "{}.csv"],
        ["data", "split", "m.csv", "o.csv", "--list", "{}.json"],
        ["data", "convert", "--from", "pyiqa", "--direction", "higher", "{}.csv", "o.csv"],
        ["data", "convert", "--from", "q-align", "--direction", "higher", "{}.json", "o.csv"],
        ["data", "convert", "--from", "deqa", "--direction", "higher", "{}.json", "o.csv"],
        ["data", "convert", "--from", "visualquality-r1-txt", "--direction", "higher", "{}.txt", "o.csv"],
        ["data", "convert", "--from", "visualquality-r1-jsonl", "--direction", "higher", "{}.jsonl", "o.csv"],
        ["data", "convert", "--from", "pyiqa", "--direction", "higher", "--split-pickle", "{}.pkl", "m.csv", "o.csv"],
        [
            "data",
            "convert",
            "--from",
            "table",
            "--direction",
            "higher",
            "--columns",
            "path=a",
            "mos=b",
            "--",
            "{}.csv",
            "o.csv",
        ],
        ["data", "convert", "--from", "kadid10k", "{}", "o.csv"],
        ["train", "--config", "{}.yaml"],
        ["train", "--config", TRAIN, "data.train={}.csv"],
        ["train", "--config", TRAIN, "policy.model={}"],
        ["eval", "--model", "csv:{}.csv:a", "--data", "m.csv", "--out", "o"],
        ["eval", "--model", "csv:m.csv:mos", "--data", "{}.csv", "--out", "o"],
        ["score", "m.csv", "--model", "{}"],
        ["track", "{}"],
        ["compare", "{}", "{}"],
        ["report", "{}"],
        ["convert-rali", "{}", "o"],
        ["export-onnx", "{}", "o.onnx"],
        ["serve", "check", "{}.yaml"],
        ["fit-rali", "--config", "configs/rali/fit_small.yaml", "run_dir=r", "annotations={}.parquet"],
        ["batch-score", "--config", "configs/rali/batch_score.yaml", "run_dir=r", "model=m", "images.sources={}.csv"],
    ],
    ids=lambda words: " ".join(words[:4]),
)
def test_an_input_that_is_something_else_is_one_sentence(
    manifest: Path, kind: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = manifest.parent
    place = {"file/x": home / "file" / "x", "long": home / ("x" * 300)}.get(kind, home / kind)
    (home / "file").touch()
    words = [str(Path(word).absolute()) if word.startswith("configs/") else word.format(place) for word in words]
    for word in words:
        path = Path(word.partition("=")[2] or word.removeprefix("csv:").removesuffix(":a"))
        if path.is_relative_to(place.parent) and path.name.startswith(kind):
            if kind == "folder":
                path.mkdir(exist_ok=True)
            elif kind == "loop":
                path.unlink(missing_ok=True)
                path.symlink_to(path.name)
            elif kind == "binary":
                path.write_bytes(BINARY)
    monkeypatch.chdir(home)
    assert main(words) in (1, 2)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.startswith("ray-iqa: ")


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        (["train=0.5", "test=nan"], "must be positive and add up to 1"),
        (["train=0.5", "=0.5"], "--shares must be NAME=VALUE, each name once, got '=0.5'"),
        (["train=0.5", "test="], "--shares must be NAME=VALUE, each name once, got 'test='"),
        (["train=0.5", "train=0.5"], "each name once, got 'train=0.5' in 'train=0.5 train=0.5'"),
        (["train=half"], "--shares must be SPLIT=SHARE with numbers"),
    ],
)
def test_shares_of_another_form(
    manifest: Path, shares: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data", "split", str(manifest), str(manifest.with_name("o.csv")), "--shares", *shares]
    assert sentence in refusal(words, capsys)


def test_a_mistake_of_the_program_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise ValueError("embedded null byte")

    monkeypatch.setattr("actors.commands.data.list_datasets", broken)
    with pytest.raises(ValueError, match="embedded null byte"):
        main(["data", "list"])


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_labels_of_pictures_whose_names_are_not_utf8(tmp_path: Path, kind: str) -> None:
    """A folder and a picture called caf, then a byte of Latin-1; what is written names them, and is read back."""
    home = Path(os.fsdecode(bytes(tmp_path / "data") + b"\xe9"))
    home.mkdir()
    name = os.fsdecode(b"caf\xe9.png")
    for number in range(9):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(home / f"{number}.png")
    (home / "0.png").rename(home / name)
    (home / "m.jsonl").write_text(
        "".join(
            json.dumps(
                {
                    "dataset": "d",
                    "image_id": f"{n}",
                    "path": name if n == 0 else f"{n}.png",
                    "mos": n,
                    "direction": "higher",
                }
            )
            + "\n"
            for n in range(9)
        )
    )
    out = tmp_path / f"o.{kind}"
    assert main(["data", "split", str(home / "m.jsonl"), str(out)]) == 0
    assert main(["data", "check", str(out)]) == 0
    written = out.read_bytes() if kind != "parquet" else pq.read_table(out).column("path")[0].as_py().encode()
    assert (b"data\\\\xe9/caf\\\\xe9.png" if kind == "jsonl" else b"data\\xe9/caf\\xe9.png") in written
