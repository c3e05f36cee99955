from pathlib import Path

import pytest
from native_copies import touch_image, write_lines

from ray_iqa.data.datasets import pipal
from ray_iqa.errors import DataError


@pytest.mark.parametrize("folder", ["Distortion_3", "Dist_Imgs"])
def test_one_label_file_per_reference_and_both_layouts(folder: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "Train_Label/A0001.txt", "A0001_00_00.bmp,1414.2", "A0001_03_05.bmp,1366.0")
    write_lines(tmp_path / "Train_Label/A0002.txt", "A0002_06_02.bmp,1850.7")
    touch_image(tmp_path / folder / "A0001_03_05.bmp")
    rows = pipal.DATASET.rows(tmp_path)
    assert [(row.ref_id, row.mos) for row in rows] == [("A0001", 1414.2), ("A0001", 1366.0), ("A0002", 1850.7)]
    assert rows[1].path == str(tmp_path / folder / "A0001_03_05.bmp")
    assert (rows[1].distortion, rows[1].level, rows[1].scale_min) == ("type 03", None, None)


def test_missing_and_broken_labels_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Train_Label/\*.txt, found none"):
        pipal.DATASET.rows(tmp_path)
    write_lines(tmp_path / "Train_Label/A0001.txt", "A0001_00_00.bmp 1414.2")
    (tmp_path / "Dist_Imgs").mkdir()
    with pytest.raises(DataError, match=r"A0001.txt line 1: must be a file name and an Elo score"):
        pipal.DATASET.rows(tmp_path)
