from pathlib import Path

import pytest
from native_copies import touch_image, write_lines

from ray_iqa.data.datasets import uhd_iqa


@pytest.mark.parametrize("folder", ["training", "challenge/training", "database"])
def test_sets_become_splits_in_every_layout(folder: str, tmp_path: Path) -> None:
    write_lines(
        tmp_path / "uhd-iqa-metadata.csv",
        "image_name,quality_mos,set,subset,orig_width,orig_height",
        "12.jpg,0.61,training,,5184,3456",
        "13.jpg,0.42,validation,popular,4000,3000",
        "14.jpg,0.5,test,unpopular,4000,3000",
    )
    touch_image(tmp_path / folder / "12.jpg")
    rows = uhd_iqa.DATASET.rows(tmp_path)
    assert [(row.mos, row.split) for row in rows] == [(0.61, "train"), (0.42, "val"), (0.5, "test")]
    assert rows[0].path == str(tmp_path / folder / "12.jpg")
    assert (rows[0].scale_min, rows[0].scale_max) == (0, 1)
