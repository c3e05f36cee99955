from pathlib import Path

import pytest
from native_copies import touch_image, write_lines

from ray_iqa.data.datasets import tid2013
from ray_iqa.errors import DataError


def test_case_chaos_is_resolved_and_the_spread_joined_line_by_line(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "mos_with_names.txt",
        "5.51429 I01_01_1.bmp",
        "5.56757 i01_01_2.bmp",
        "3.1 i25_24_5.bmp",
        end="\r\n",
    )
    write_lines(tmp_path / "mos_std.txt", "0.13013", "0.12", "0.2", end="\r\n")
    touch_image(tmp_path / "distorted_images/i01_01_1.bmp")
    touch_image(tmp_path / "distorted_images/I01_01_2.BMP")
    rows = tid2013.DATASET.rows(tmp_path)
    assert [(row.mos, row.mos_std) for row in rows] == [(5.51429, 0.13013), (5.56757, 0.12), (3.1, 0.2)]
    assert [Path(row.path).name for row in rows] == ["i01_01_1.bmp", "I01_01_2.BMP", "i25_24_5.bmp"]
    assert [row.image_id for row in rows] == ["I01_01_1.bmp", "I01_01_2.bmp", "I25_24_5.bmp"]
    assert [row.ref_id for row in rows] == ["I01", "I01", "I25"]
    assert (rows[2].distortion, rows[2].level) == ("sparse sampling and reconstruction", 5)
    assert (rows[0].direction, rows[0].scale_min, rows[0].scale_max) == ("higher", 0, 9)


def test_files_of_different_length_are_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "mos_with_names.txt", "5.5 I01_01_1.bmp", "5.6 I01_01_2.bmp")
    write_lines(tmp_path / "mos_std.txt", "0.1")
    (tmp_path / "distorted_images").mkdir()
    with pytest.raises(DataError, match=r"mos_std.txt must have one value for each of the 2 images .* got 1"):
        tid2013.DATASET.rows(tmp_path)
