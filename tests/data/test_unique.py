"""Whatever a user's file says twice is refused with both places, by every reader."""

import csv
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.io import savemat

from ray_iqa.data.convert import Interpretation, read_source
from ray_iqa.data.datasets.native_files import ImageFiles, matlab_variable
from ray_iqa.data.formats.deqa import write_deqa
from ray_iqa.data.formats.split_lists import read_split_list, read_split_pickle
from ray_iqa.data.manifest import read_rows
from ray_iqa.data.tables import read_table
from ray_iqa.errors import DataError

TOLD = Interpretation(dataset="mine", direction="higher", columns={"path": "p", "mos": "m"})
ROW = "d,a,a.png,1,higher"


def read_as(kind: str) -> Callable[[Path], object]:
    return lambda file: read_source(kind, file, TOLD)


@pytest.mark.parametrize(
    ("name", "text", "read", "sentence"),
    [
        (
            "m.csv",
            f"dataset,image_id,path,mos,direction,mos\n{ROW},5\n",
            read_rows,
            "m.csv line 1 column 6: the name 'mos' is already at m.csv line 1 column 4",
        ),
        (
            "m.jsonl",
            '{"dataset": "d", "image_id": "a", "path": "a", "mos": 1, "direction": "higher", "mos": 2}\n',
            read_rows,
            "m.jsonl line 1, entry 6 of an object: the key 'mos' is already at m.jsonl line 1, entry 4",
        ),
        (
            "m.csv",
            f"dataset,image_id,path,mos,direction\n{ROW}\n{ROW}\n",
            read_rows,
            "line 3: image_id 'a' of dataset 'd' is already at m.csv line 2",
        ),
        ("t.csv", "p,m,m\na,1,2\n", read_as("table"), "t.csv line 1 column 3: the name 'm' is already at .* column 2"),
        ("t.csv", "p,m\na,1\nb,2\na,3\n", read_as("table"), "t.csv line 4: image_id 'a' .* is already at t.csv line 2"),
        ("y.csv", "img_name,mos,std,std\na,1,2,3\n", read_as("pyiqa"), "column 4: the name 'std' is already at .* 3"),
        ("y.csv", "img_name,mos\na,1\na,2\n", read_as("pyiqa"), "y.csv line 3: image_id 'a' .* at y.csv line 2"),
        (
            "q.json",
            '[{"image": "a", "gt_score": 1}, {"image": "a", "gt_score": 2}]',
            read_as("q-align"),
            "q.json entry 2: image_id 'a' of dataset 'mine' is already at q.json entry 1",
        ),
        (
            "q.json",
            '[{"image": "a", "gt_score": 1, "image": "b"}]',
            read_as("q-align"),
            "q.json, entry 3 of an object: the key 'image' is already at q.json, entry 1",
        ),
        (
            "q.json",
            '[{"image": "a", "gt_score": 1}, {"image": "./a", "gt_score": 1}, {"image": "a", "gt_score": 2}]',
            read_as("deqa"),
            "q.json entry 2: image_id 'a' .* q.json entry 1",
        ),
        ("l.txt", "x/a 1\nx//a 2\n", read_as("visualquality-r1-txt"), "l.txt line 2: image_id 'x/a' .* l.txt line 1"),
        ("l.txt", "a 1\nb 1\na 2\n", read_as("visualquality-r1-txt"), "l.txt line 3: image_id 'a' .* at l.txt line 1"),
        ("s.csv", "name,split,split\na,train,test\n", read_split_list, "column 3: the name 'split' is already at"),
        ("s.json", '{"train": ["a"], "test": ["b"], "train": []}', read_split_list, "entry 3 .* 'train' is already at"),
    ],
)
def test_both_places_are_named(
    name: str, text: str, read: Callable[[Path], object], sentence: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=sentence):
        read(tmp_path / name)


def test_columns_without_a_name_may_be_several(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f"dataset,image_id,path,mos,direction,,\n{ROW},,\n")
    assert len(read_rows(tmp_path / "m.csv")) == 1


def test_parquet_columns(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 3, names=["mos", "path", "mos"]), tmp_path / "m.parquet")
    with pytest.raises(DataError, match=r"column 3: the name 'mos' is already at m.parquet column 1"):
        read_rows(tmp_path / "m.parquet")


def test_a_row_number_in_two_splits_of_a_pickle(tmp_path: Path) -> None:
    (tmp_path / "y.csv").write_text("img_name,mos\na,1\nb,2\n")
    (tmp_path / "s.pkl").write_bytes(pickle.dumps({1: {"train": [0, 1], "val": [], "test": [1]}}))
    assert read_split_pickle(tmp_path / "s.pkl")["test"] == [1]
    told = Interpretation(dataset="mine", direction="higher", split_pickle=tmp_path / "s.pkl")
    with pytest.raises(DataError, match=r"'test' entry 1: row number 1 is already at split 'train' entry 2"):
        read_source("pyiqa", tmp_path / "y.csv", told)


def test_columns_of_a_sheet_that_are_read(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    for row in (["MOS", "MOS"], ["Image", "note", "MOS", "note", "MOS"], ["a", 1, 2, 3, 4]):
        workbook.active.append(row)
    workbook.save(tmp_path / "b.xlsx")
    with pytest.raises(DataError, match=r"b.xlsx row 2 column 5: the name 'MOS' is already at b.xlsx row 2 column 3"):
        list(read_table(tmp_path / "b.xlsx", ["Image", "MOS"]))
    assert list(read_table(tmp_path / "b.xlsx", ["Image"]))  # nobody reads the others


def test_a_variable_twice_in_a_matlab_file(tmp_path: Path) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    savemat(first, {"dmos": [1.0, 2.0]})
    savemat(second, {"dmos": [3.0, 4.0]})
    (tmp_path / "d.mat").write_bytes(first.getvalue() + second.getvalue()[128:])  # the header has 128 bytes
    with pytest.raises(DataError, match=r"d.mat column 2: the name 'dmos' is already at d.mat column 1"):
        matlab_variable(tmp_path / "d.mat", "dmos")


def test_labels_of_a_public_dataset_twice(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with (tmp_path / "dmos.csv").open("w", newline="") as stream:
        names = ["I01_01_01.png", "I01_01_02.png", "I01_01_01.png"]
        rows = [[name, "I01.png", mos, 0.5] for name, mos in zip(names, (4.5, 4.0, 1.5), strict=True)]
        csv.writer(stream).writerows([["dist_img", "ref_img", "dmos", "var"], *rows])
    sentence = r"KADID-10k row 3, labelled 1.5: image_id 'I01_01_01.png' .* is already at KADID-10k row 1, labelled 4.5"
    with pytest.raises(DataError, match=sentence):
        read_source("kadid10k", tmp_path, TOLD)


def test_a_set_of_a_picture_twice(tmp_path: Path) -> None:
    (tmp_path / "1024x768").mkdir()
    lines = ["image_name,MOS,SD,set", "1.jpg,3,0.5,training", "1.jpg,3,0.5,test"]
    (tmp_path / "koniq10k_distributions_sets.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"sets.csv line 3: '1.jpg' is already at .*sets.csv line 2"):
        read_source("koniq10k", tmp_path, TOLD)


def test_two_files_that_differ_by_case(tmp_path: Path) -> None:
    for name in ("a.PNG", "A.png"):
        (tmp_path / name).touch()
    files = ImageFiles(tmp_path, ["."])
    assert files.path("A.png").name == "A.png"
    assert not files.path("a.png").exists()  # which of them is meant?


def test_a_picture_twice_in_what_is_written_for_deqa(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("p,m,id\na.png,1,one\na.png,2,two\n")
    told = Interpretation(dataset="mine", direction="higher", columns={"path": "p", "mos": "m", "image_id": "id"})
    rows = read_source("table", tmp_path / "t.csv", told)
    with pytest.raises(DataError, match=r"row 'two': 'a.png' is already at row 'one'"):
        write_deqa(tmp_path / "out", rows, tmp_path)
