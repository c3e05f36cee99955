from pathlib import Path

import pytest
from native_copies import touch_image, write_live_challenge

from ray_iqa.data.datasets import live_challenge
from ray_iqa.errors import DataError

NAMES = [*(f"t{number}.bmp" for number in range(1, 8)), "3.bmp", "10.bmp"]


def test_the_seven_training_images_are_dropped(tmp_path: Path) -> None:
    write_live_challenge(tmp_path, NAMES, [float(i) for i in range(9)], [20.0 + i for i in range(9)])
    touch_image(tmp_path / "Images/3.bmp")
    rows = live_challenge.DATASET.rows(tmp_path)
    assert [(row.image_id, row.mos, row.mos_std) for row in rows] == [("3.bmp", 7, 27), ("10.bmp", 8, 28)]
    assert rows[0].path == str(tmp_path / "Images/3.bmp")
    assert (rows[0].direction, rows[0].scale_min, rows[0].scale_max) == ("higher", 0, 100)


def test_scores_of_another_length_are_refused(tmp_path: Path) -> None:
    write_live_challenge(tmp_path, NAMES, [1.0] * 8, [20.0] * 9)
    with pytest.raises(DataError, match="AllMOS_release must have one value for each of the 9 images"):
        live_challenge.DATASET.rows(tmp_path)


def test_a_file_that_is_no_matlab_file_is_named(tmp_path: Path) -> None:
    write_live_challenge(tmp_path, NAMES, [1.0] * 9, [20.0] * 9)
    (tmp_path / "Data/AllMOS_release.mat").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"AllMOS_release.mat is not a readable .mat file"):
        live_challenge.DATASET.rows(tmp_path)
