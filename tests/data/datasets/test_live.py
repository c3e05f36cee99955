from pathlib import Path

import pytest
from native_copies import touch_image, write_live

from ray_iqa.data.datasets import live


def test_realigned_scores_win_and_pristine_rows_are_left_out(tmp_path: Path) -> None:
    write_live(tmp_path, realigned=True)
    touch_image(tmp_path / "jp2k/img2.bmp")
    rows = live.DATASET.rows(tmp_path)
    assert len(rows) == 982 - 197
    first = rows[0]  # row 1 of the files is pristine
    assert (first.image_id, first.ref_id, first.distortion) == ("jp2k/img2.bmp", "ref1", "jp2k")
    assert first.mos == pytest.approx(0.1 * 1.2 - 3)
    assert (first.mos_std, first.direction, first.scale_min) == (7.5, "lower", None)
    assert first.path == str(tmp_path / "jp2k/img2.bmp")
    # Row 982 of the files is the last of the fifth folder.
    assert (rows[-1].image_id, rows[-1].mos) == ("fastfading/img174.bmp", pytest.approx(98.1 * 1.2 - 3))
    by_folder = {row.image_id: row.mos for row in rows}
    assert by_folder["jpeg/img2.bmp"] == pytest.approx(22.8 * 1.2 - 3)  # 227 + 2 = row 229


def test_older_scores_have_no_spread_and_gblur_may_be_called_blur(tmp_path: Path) -> None:
    write_live(tmp_path, realigned=False)
    touch_image(tmp_path / "blur/img3.bmp")
    row = next(row for row in live.DATASET.rows(tmp_path) if row.image_id == "gblur/img3.bmp")
    assert row.mos == pytest.approx((227 + 233 + 174 + 2) / 10)
    assert row.mos_std is None
    assert row.path == str(tmp_path / "blur/img3.bmp")
