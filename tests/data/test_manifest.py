"""Manifests of three formats, and one sentence for each way a row can be bad."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_iqa.data.manifest import load_manifest, read_rows, write_rows
from ray_iqa.data.rows import ManifestRow
from ray_iqa.errors import DataError

HIGHER = ManifestRow(
    dataset="koniq",
    image_id="a",
    path="images/a.png",
    ref_id="a",
    distortion="blur",
    level=3,
    mos=3.25,
    mos_std=0.5,
    direction="higher",
    scale_min=1.0,
    scale_max=5.0,
    split="train",
    licence="CC0-1.0",
)
LOWER = ManifestRow(
    dataset="csiq", image_id="a", path="/data/b.png", mos=0.75, direction="lower", split="test", scene_id="scene 3"
)


def csv_of(folder: Path, *lines: str, header: str = "dataset,image_id,path,mos,direction,split") -> Path:
    path = folder / "koniq.csv"
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_rows_survive_a_round_trip_with_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{suffix}"
    write_rows(path, [HIGHER, LOWER])
    assert read_rows(path) == [HIGHER, LOWER]
    first = path.read_bytes()
    write_rows(path, [HIGHER, LOWER])
    assert path.read_bytes() == first


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_labelled_images_keep_scale_direction_and_folder(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / f"rows.{suffix}", [HIGHER, LOWER])
    monkeypatch.chdir(tmp_path)
    (train,) = load_manifest(f"rows.{suffix}", "train")
    assert (train.mos, train.mos_std, train.higher_is_better) == (3.25, 0.5, True)
    assert train.label_scale == ("koniq", "")
    assert train.image_path == str(tmp_path / "images" / "a.png")
    (test,) = load_manifest(f"rows.{suffix}", "test")
    assert (test.mos, test.mos_std, test.higher_is_better) == (0.75, None, False)
    assert test.image_path == "/data/b.png"
    assert test.label_scale == ("csiq", "scene 3")
    assert len(load_manifest(f"rows.{suffix}", None)) == 2


def test_the_column_of_scenes_is_read_by_its_old_name_too(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text("dataset,image_id,path,mos,direction,group_id\nd,a,a.png,1,higher,s\nd,b,b.png,2,higher,\n")
    assert [row.scene_id for row in read_rows(file)] == ["s", None]
    file.write_text("dataset,image_id,path,mos,direction,group_id,scene_id\nd,a,a.png,1,higher,s,t\n")
    with pytest.raises(
        DataError, match="line 2: scene_id was called group_id before; they must agree, got 't' and 's'"
    ):
        read_rows(file)


def test_a_split_without_rows_names_those_there_are(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", [HIGHER, LOWER])
    with pytest.raises(DataError, match=r"no row whose split is 'val', its splits: test, train; `ray-iqa data split"):
        load_manifest(tmp_path / "rows.csv", "val")


def test_byte_order_mark_extra_columns_and_quoted_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    text = 'dataset,image_id,path,mos,direction,note\nd,1,1.png,2,higher,"two\nlines"\nd,2,2.png,oops,higher,\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    with pytest.raises(DataError, match=r"rows\.csv line 4: mos must be a number, got 'oops'"):
        read_rows(path)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("d,2,b.png,n/a,higher,train", r"koniq\.csv line 3: mos must be a number, got 'n/a'"),
        ("d,2,b.png,,higher,train", r"line 3: mos must be a number, but it is empty"),
        ("d,2,b.png,nan,higher,train", r"line 3: mos must be a number, but it is empty"),
        ("d,2,b.png,inf,higher,train", r"line 3: mos must be a number, got 'inf'"),
        ("d,2,b.png,3,up,train", r"line 3: direction must be 'higher' or 'lower' .*, got 'up'"),
        ("d,2,b.png,3,lower,train", r"line 3: .* one direction, got 'lower' but 'd' is 'higher' at koniq\.csv line 2"),
        ("d,1,b.png,3,higher,train", r"line 3: image_id '1' of dataset 'd' is already at koniq\.csv line 2"),
        ("d,./1,b.png,3,higher,train", r"line 3: image_id '1' of dataset 'd' is already at koniq\.csv line 2"),
        ("d,2,,3,higher,train", r"line 3: path must not be empty"),
        ("d,2", r"line 3: must have 6 fields as the header, got 2"),
        ("d,2,b.png,3,higher,train,7", r"line 3: must have 6 fields as the header, got 7"),
    ],
)
def test_a_bad_csv_row_is_named(line: str, sentence: str, tmp_path: Path) -> None:
    path = csv_of(tmp_path, "d,1,a.png,3,higher,train", line)
    with pytest.raises(DataError, match=sentence):
        read_rows(path)


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("mos", True, "mos must be a number, got True"),
        ("mos", [1], r"mos must be a number, got \[1\]"),
        ("mos", 5.5, "mos must lie in scale_min to scale_max, 1.0 to 5.0, got 5.5"),
        ("mos_std", -0.1, "mos_std must not be negative, got -0.1"),
        ("level", 1.5, "level must be a whole number from 0, got 1.5"),
        ("scale_min", 5, "scale_min must be below scale_max, got 5.0 and 5.0"),
        ("split", 0.5, "split must be text, got 0.5"),
    ],
)
def test_a_bad_json_row_is_named(column: str, value: object, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, [HIGHER])
    path.write_text(
        path.read_text() + json.dumps(json.loads(path.read_text()) | {"image_id": "b", column: value}) + "\n"
    )
    with pytest.raises(DataError, match=r"rows\.jsonl line 2: " + sentence):
        read_rows(path)


@pytest.mark.parametrize(("text", "sentence"), [("{", "line 1: not JSON"), ("[1]", "line 1: must be a JSON object")])
def test_broken_json_lines(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_rows(tmp_path / "rows.jsonl")


def test_parquet_rows_are_counted_and_nan_is_absent(tmp_path: Path) -> None:
    table = {"dataset": ["d", "d"], "image_id": ["1", "2"], "path": ["1.png", "2.png"], "direction": ["lower"] * 2}
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(table | {"mos": [1.0, 2.0], "mos_std": [float("nan"), 0.5]}), path)
    assert [row.mos_std for row in read_rows(path)] == [None, 0.5]
    pq.write_table(pa.table(table | {"mos": [1.0, float("nan")]}), path)
    with pytest.raises(DataError, match=r"rows\.parquet row 2: mos must be a number, but it is empty"):
        read_rows(path)


def test_a_missing_column_suggests_the_nearest(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "d,1,a.png,3,higher", header="dataset,image_id,pth,mos,direction")
    with pytest.raises(DataError, match=r"column 'path' is missing, found .*, did you mean 'pth'\?"):
        read_rows(path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.txt", b"", r"must end in .csv, .*, .xlsx or .xls, got"),
        ("a.csv", b"", "has no rows"),
        ("a.csv", b"dataset,\xff\nd,1\n", "not a readable csv file"),
        ("a.parquet", b"nonsense", "not a readable parquet file"),
    ],
)
def test_files_that_are_no_manifest(name: str, content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read_rows(tmp_path / name)
    with pytest.raises(DataError, match=r"no table at .*gone\.csv"):
        read_rows(tmp_path / "gone.csv")
