from pathlib import Path

import pytest
from native_copies import touch_image, write_lines, write_workbook

from ray_iqa.data.datasets import csiq
from ray_iqa.errors import DataError

EMPTY = [None] * 9
SHEET = [
    ["CSIQ image database", *[None] * 8],
    EMPTY,
    EMPTY,
    [None, None, None, "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"],
    [None, None, None, 1600, 1, "noise", 1, 0.05, 0.062],
    [None, None, None, "aerial_city", 6, "jpeg 2000", 4, 0.1, 0.71],
    ["a note", *[None] * 8],
    EMPTY,
    [None, None, None, "boston", 5, "contrast", 2.0, 0.02, 0.2],
]


def test_workbook_with_its_header_on_row_four(tmp_path: Path) -> None:
    write_workbook(tmp_path / "csiq.DMOS.xlsx", {"notes": [["read me"]], "all_by_image": SHEET})
    touch_image(tmp_path / "dst_imgs/awgn/1600.AWGN.1.png")
    touch_image(tmp_path / "dst_imgs/jpeg2000/aerial_city.jpeg2000.4.png")
    rows = csiq.DATASET.rows(tmp_path)
    assert [row.image_id for row in rows] == [
        "1600.AWGN.1.png",
        "aerial_city.jpeg2000.4.png",
        "boston.contrast.2.png",
    ]
    first = rows[0]
    assert (first.mos, first.mos_std, first.direction) == (0.062, 0.05, "lower")
    assert (first.ref_id, first.distortion, first.level) == ("1600", "awgn", 1)
    assert rows[1].path == str(tmp_path / "dst_imgs/jpeg2000/aerial_city.jpeg2000.4.png")


@pytest.mark.parametrize("folder", ["dst_imgs", "dst_imgs_all"])
def test_label_list_and_flat_folder(folder: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "csiq_label.txt", "1600.AWGN.1.png 0.062", "1600.BLUR.5.png 0.812")
    touch_image(tmp_path / folder / "1600.BLUR.5.png")
    rows = csiq.DATASET.rows(tmp_path)
    assert [(row.mos, row.mos_std) for row in rows] == [(0.062, None), (0.812, None)]
    assert rows[1].path == str(tmp_path / folder / "1600.BLUR.5.png")


def test_another_workbook_is_refused(tmp_path: Path) -> None:
    write_workbook(tmp_path / "csiq.DMOS.xlsx", {"Sheet1": SHEET})
    (tmp_path / "dst_imgs").mkdir()
    with pytest.raises(DataError, match="must have a sheet 'all_by_image', found Sheet1"):
        csiq.DATASET.rows(tmp_path)
    write_workbook(tmp_path / "csiq.DMOS.xlsx", {"all_by_image": SHEET[4:]})
    with pytest.raises(DataError, match="must have a row with the columns image, dst_type"):
        csiq.DATASET.rows(tmp_path)
