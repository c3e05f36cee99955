from pathlib import Path

import pytest

from ray_iqa.errors import DataError
from ray_iqa.scorers.column import ColumnScorer
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
    return [found.score for found in ColumnScorer(file, column).predict(images)]


def test_rows_are_found_by_dataset_and_id(tmp_path: Path) -> None:
    text = "dataset,image_id,a,b\nd,1,0.5,7\ne,1,0.25,8\nd,2,,9\n"
    images = image("1"), image("1", "e"), image("2"), image("3")
    assert scores_of(tmp_path / "s.csv", text, "a", *images) == [0.5, 0.25, None, None]
    assert scores_of(tmp_path / "s.csv", text, "-b", *images) == [-7.0, -8.0, -9.0, None]
    reasons = [found.reason for found in ColumnScorer(tmp_path / "s.csv", "a").predict(images)]
    assert reasons == [None, None, "its score in s.csv is empty", "s.csv has no row for it"]


def test_rows_are_found_by_path_or_file_name(tmp_path: Path) -> None:
    text = "path,score\n/data/1.png,1\nelsewhere/2.png,2\nx/3.png,3\ny/3.png,4\n"
    assert scores_of(tmp_path / "s.csv", text, "score", image("1"), image("2"), image("3")) == [1.0, 2.0, None]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image_id,b\n1,2\n", "s.csv line 2: there must be a column 'a' and one of image_id, image_path, path"),
        ("name,a\n1,2\n", "s.csv line 2: there must be a column 'a' and one of"),
        ("image_id,a\n1,good\n", "s.csv line 2: a must be a number, got 'good'"),
        ("image_id,a\n1,inf\n", "s.csv line 2: a must be finite, got 'inf'"),
        ("image_id,a\n1,2\n1,3\n", "s.csv line 3: a second row for '1'"),
    ],
)
def test_bad_files_are_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(DataError, match=sentence):
        ColumnScorer(tmp_path / "s.csv", "a")
