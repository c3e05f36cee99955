from pathlib import Path

import pytest
from native_copies import touch_image, write_workbook

from ray_iqa.data.datasets import bid


@pytest.mark.parametrize("with_std", [False, True])
def test_numbers_become_file_names(with_std: bool, tmp_path: Path) -> None:
    sheet = [["Image Number", "Average Subjective Grade", "std"], [1, 3.5, 0.4], [190, 2.25, 0.6]]
    write_workbook(tmp_path / "DatabaseGrades.xlsx", {"Plan1": [row if with_std else row[:2] for row in sheet]})
    touch_image(tmp_path / "DatabaseImage0190.jpg")
    rows = bid.read(tmp_path)
    assert [row.image_id for row in rows] == ["DatabaseImage0001.JPG", "DatabaseImage0190.JPG"]
    assert [row.mos for row in rows] == [3.5, 2.25]
    assert [row.mos_std for row in rows] == ([0.4, 0.6] if with_std else [None, None])
    assert rows[1].path == str(tmp_path / "DatabaseImage0190.jpg")
    assert (rows[0].scale_min, rows[0].scale_max) == (0, 5)
