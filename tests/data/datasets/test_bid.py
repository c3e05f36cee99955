from pathlib import Path

import pytest
from native_copies import touch_image, write_workbook

from ray_iqa.data.datasets import bid


@pytest.mark.parametrize("with_std", [False, True])
def test_numbers_become_file_names(with_std: bool, tmp_path: Path) -> None:
    sheet = [["Image Number", "Average Subjective Grade", "std"], [1, 3.5, 0.4], [190, 2.25, 0.6]]
    write_workbook(tmp_path / "DatabaseGrades.xlsx", {"Plan1": [row if with_std else row[:2] for row in sheet]})
    touch_image(tmp_path / "DatabaseImage0190.jpg")
    rows = bid.DATASET.rows(tmp_path)
    assert [row.image_id for row in rows] == ["DatabaseImage0001.JPG", "DatabaseImage0190.JPG"]
    assert [row.mos for row in rows] == [3.5, 2.25]
    assert [row.mos_std for row in rows] == ([0.4, 0.6] if with_std else [None, None])
    assert rows[1].path == str(tmp_path / "DatabaseImage0190.jpg")
    assert (rows[0].scale_min, rows[0].scale_max) == (0, 5)


def test_the_authors_workbook_with_every_grade(tmp_path: Path) -> None:
    """The grades of a picture end where the next has more; a picture with one grade has no spread."""
    header = ["Image Number", "Average Subjective Grade", "Number of Grades", *(f"Grade #{n}" for n in range(1, 21))]
    grades = [[4.0, 5.0, 3.5], [1.0, 2.5], [2.0]]
    sheet = [[n, sum(own) / len(own), len(own), *own, *[None] * (20 - len(own))] for n, own in enumerate(grades, 1)]
    write_workbook(tmp_path / "DatabaseGrades.xls", {"Plan1": [header, *sheet], "Plan2": []})
    (tmp_path / "images").mkdir()
    rows = bid.DATASET.rows(tmp_path)
    assert [row.mos for row in rows] == [pytest.approx(12.5 / 3), 1.75, 2]
    # (1/6, 5/6, -4/6) squared: 42/36, over 2; (3/4)^2 twice, over 1
    assert [row.mos_std for row in rows] == [pytest.approx((42 / 72) ** 0.5), pytest.approx((9 / 8) ** 0.5), None]
