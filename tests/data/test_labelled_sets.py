from dataclasses import replace
from pathlib import Path

import pytest

from ray_iqa.data.labelled_sets import read_labelled_sets
from ray_iqa.data.manifest import write_rows
from ray_iqa.data.rows import ManifestRow, labelled_image
from ray_iqa.errors import DataError


def row(dataset: str, image_id: str, mos: float, **columns: object) -> ManifestRow:
    known = {"path": f"{image_id}.png", "direction": "higher", "split": "train"}
    return ManifestRow(dataset=dataset, image_id=image_id, mos=mos, **{**known, **columns})


def test_sources_are_joined_by_dataset_and_cut_to_a_split(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", [row("x", "1", 1.0), row("x", "2", 9.0, split="test"), row("y", "1", 3.0)])
    write_rows(tmp_path / "b.csv", [row("y", "2", 7.0, scale_min=0.0, scale_max=8.0)])
    x, y = read_labelled_sets([f"{tmp_path}/a.csv", f"{tmp_path}/b.csv"])
    assert [each.image_id for each in x.rows] == ["1", "2"]
    assert [each.path for each in y.rows] == [str(tmp_path / "1.png"), str(tmp_path / "2.png")]
    assert (y.mos_low, y.mos_high) == (0.0, 8.0)
    (test,) = read_labelled_sets([f"{tmp_path}/a.csv@test"])
    assert [each.image_id for each in test.rows] == ["2"]
    assert (test.mos_low, test.mos_high) == (1.0, 9.0)  # of the whole dataset


def test_a_file_that_exists_is_meant_whatever_its_name(tmp_path: Path) -> None:
    write_rows(tmp_path / "a@test.csv", [row("x", "1", 1.0), row("x", "2", 9.0)])
    write_rows(tmp_path / "b=c.csv", [row("y", "1", 1.0)])
    first, second = read_labelled_sets([f"{tmp_path}/a@test.csv", f"{tmp_path}/b=c.csv@train"])
    assert [len(each.rows) for each in (first, second)] == [2, 1]


def test_a_public_dataset_is_read_as_distributed(tmp_path: Path) -> None:
    (tmp_path / "SRIQA-Bench.txt").write_text("s1_Original.png s1_SeeSRx4.png 70.5\ns2_Original.png s2_BSRx4.png 0\n")
    (found,) = read_labelled_sets([f"sriqa-bench={tmp_path}"])
    assert [each.scene_id for each in found.rows] == ["s1", "s2"]
    assert labelled_image(found.rows[0]).label_scale == ("sriqa-bench", "s1")


@pytest.mark.parametrize(
    ("rows", "word", "sentence"),
    [
        ([row("x", "1", 1.0)], "a.csv@val", "no row whose split is 'val', its splits: train; `ray-iqa data split"),
        ([row("x", "1", 1.0)], "a.txt", r"--data must be a manifest \(.csv, .*\) or NAME=FOLDER"),
        ([row("x", "1", 1.0), row("x", "2", 1.0, scene_id="s")], "a.csv", "all rows of dataset 'x' must have a scene"),
        ([row("x", "1", 1.0)], "sriqa=a.csv", "there is no adapter called 'sriqa', did you mean"),
    ],
)
def test_bad_sources_are_one_sentence(rows: list[ManifestRow], word: str, sentence: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", rows)
    name, equals, file = word.rpartition("=")
    with pytest.raises(DataError, match=sentence):
        read_labelled_sets([f"{name}{equals}{tmp_path}/{file}"])


def test_an_image_in_two_sources_is_found(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", [row("x", "1", 1.0)])
    write_rows(tmp_path / "b.csv", [replace(row("x", "1", 1.0), path="c.png")])
    with pytest.raises(DataError, match=r"c.png: in the sources of dataset 'x' image_id '1' is already at .*1.png"):
        read_labelled_sets([f"{tmp_path}/a.csv", f"{tmp_path}/b.csv"])
