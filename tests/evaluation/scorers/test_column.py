from dataclasses import replace
from pathlib import Path

import pytest

from ray_iqa.errors import DataError
from ray_iqa.evaluation.scorers.column import ColumnScorer
from ray_iqa.types import LabelledImage


def image(image_id: str, dataset: str = "d") -> LabelledImage:
    return LabelledImage(
        image_id=image_id,
        image_path=f"/data/{image_id}.png",
        dataset=dataset,
        mos=0.0,
        mos_std=None,
        higher_is_better=True,
    )


def scores_of(file: Path, text: str, column: str, *images: LabelledImage) -> list[float | None]:
    file.write_text(text)
    return [found.value for found in ColumnScorer(file, column).predict(images)]


def test_rows_are_found_by_dataset_and_id(tmp_path: Path) -> None:
    text = "dataset,image_id,a,b\nd,1,0.5,7\ne,1,0.25,8\nd,2,,9\n"
    images = image("1"), image("1", "e"), image("2"), image("3")
    assert scores_of(tmp_path / "s.csv", text, "a", *images) == [0.5, 0.25, None, None]
    assert scores_of(tmp_path / "s.csv", text, "-b", *images) == [-7.0, -8.0, -9.0, None]
    reasons = [found.reason for found in ColumnScorer(tmp_path / "s.csv", "a").predict(images)]
    assert reasons == [None, None, "its score in s.csv is empty", "s.csv has no row for it"]


def at(path: str, dataset: str = "d") -> LabelledImage:
    return replace(image(path, dataset), image_path=path)


def test_rows_are_found_by_path_or_by_the_end_of_it_that_is_unique(tmp_path: Path) -> None:
    text = "path,score\n/data/1.png,1\nelsewhere/2.png,2\nx/3.png,3\n./y//3.png,4\n"
    images = at("/data/1.png"), at("/data/2.png"), at("/data/y/3.png"), at("/data/x/3.png"), at("/data/4.png")
    assert scores_of(tmp_path / "s.csv", text, "score", *images) == [1.0, 2.0, 4.0, 3.0, None]


def test_one_row_never_serves_two_images(tmp_path: Path) -> None:
    four = [at(f"/data/{folder}/{name}.png") for folder in "AB" for name in "xy"]
    text = "path,score\n/data/A/x.png,1\n/data/B/y.png,2\n"
    assert scores_of(tmp_path / "s.csv", text, "score", *four) == [1.0, None, None, 2.0]
    predictions = ColumnScorer(tmp_path / "s.csv", "score").predict(four)
    assert predictions[1].reason == "s.csv has no row for it"
    with pytest.raises(DataError, match=r"'x.png' fits both '/data/A/x.png' and '/data/B/x.png'"):
        scores_of(tmp_path / "s.csv", "path,score\nx.png,1\ny.png,2\n", "score", *four)
    with pytest.raises(DataError, match=r"'/data/3.png' fits both 'x/3.png' and 'y/3.png'; the whole name"):
        scores_of(tmp_path / "s.csv", "path,score\nx/3.png,1\ny/3.png,2\n", "score", at("/data/3.png"))
    same_name = at("/d/1.png"), at("/e/1.png", "e")
    with_dataset = "dataset,path,score\nd,1.png,1\ne,1.png,2\n"
    assert scores_of(tmp_path / "s.csv", with_dataset, "score", *same_name) == [1.0, 2.0]


def test_an_id_of_two_datasets_needs_the_dataset(tmp_path: Path) -> None:
    images = image("1"), image("1", "e"), image("x/2"), image("2")
    assert scores_of(tmp_path / "s.csv", "image_id,a\nx/2,7\n", "a", *images) == [None, None, 7.0, None]
    with pytest.raises(
        DataError, match=r"of 'e': s.csv needs a column dataset, for its row of '1' is already at image '1' of 'd'"
    ):
        scores_of(tmp_path / "s.csv", "image_id,a\n1,2\n", "a", *images)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image_id,b\n1,2\n", "s.csv line 2: there must be a column 'a' and one of image_id, image_path, path"),
        ("name,a\n1,2\n", "s.csv line 2: there must be a column 'a' and one of"),
        ("image_id,a\n1,good\n", "s.csv line 2: a must be a number, got 'good'"),
        ("image_id,a\n1,inf\n", "s.csv line 2: a must be a number, got 'inf'"),
        ("image_id,dataset,a\n1,,2\n", "s.csv line 2: dataset must not be empty"),
        ("path,a\n,2\n", "s.csv line 2: path must not be empty"),
        ("image_id,a,b,a\n1,2,5,3\n", "s.csv line 1 column 4: the name 'a' is already at s.csv line 1 column 2"),
        ("path,a\nx/1,2\n./x/1,3\n", "s.csv line 3: a row for 'x/1', .* is already at s.csv line 2"),
        ("image_id,a\nx/1,2\n./x/1,3\n", "s.csv line 3: a row for 'x/1', .* is already at s.csv line 2"),
        ("image_id,a\n1,2\n1,3\n", "s.csv line 3: a row for '1', .* is already at s.csv line 2"),
    ],
)
def test_bad_files_are_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(DataError, match=sentence):
        ColumnScorer(tmp_path / "s.csv", "a")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image_id,a\n7,2\n8,3\n", "no row of .*s.csv is of one of the images, such as '7'; the first image is '1'"),
        ("dataset,image_id,a\ne,1,2\n", "such as '1' of 'e'; the first image is '1' of 'd'"),
        ("image_id,a\n1.png,2\n", "such as '1.png'; the first image is '1'"),
        ("path,a\n/data/1.PNG,2\n", "such as '/data/1.PNG'; the first image is '/data/1.png'"),
        ("path,a\n", "s.csv has no rows"),
        ("", "s.csv has no rows"),
    ],
)
def test_a_file_of_other_pictures_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        scores_of(tmp_path / "s.csv", text, "a", image("1"), image("2"))


def test_rows_of_other_pictures_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "image_id,a\n./1,2\nq,3\np,4\n"
    assert scores_of(tmp_path / "s.csv", text, "a", image("1"), image("2")) == [2.0, None]
    assert caplog.messages == ["2 of 3 rows of s.csv are of none of the images, such as 'p'"]
    caplog.clear()
    assert scores_of(tmp_path / "s.csv", "path,a\n1.png,2\n", "a", image("1"), image("2")) == [2.0, None]
    assert caplog.messages == []
