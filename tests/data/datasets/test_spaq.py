from pathlib import Path

import pytest
from native_copies import touch_image, write_workbook

from ray_iqa.data.datasets import spaq

HEADER = ["Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"]


@pytest.mark.parametrize("name", ["MOS and Image attribute scores.xlsx", "MOS_and_Image_attribute_scores.xlsx"])
def test_overall_score_without_a_spread(name: str, tmp_path: Path) -> None:
    sheet = [HEADER, ["00001.jpg", 51.0, 60, 50, 55, 40, 45], ["00002.jpg", 65.0, 62, 66, 61, 60, 59]]
    write_workbook(tmp_path / "Annotations" / name, {"Sheet1": sheet})
    touch_image(tmp_path / "TestImage/00001.jpg")
    rows = spaq.DATASET.rows(tmp_path)
    assert [(row.image_id, row.mos, row.mos_std) for row in rows] == [("00001.jpg", 51, None), ("00002.jpg", 65, None)]
    assert (rows[0].scale_min, rows[0].scale_max) == (0, 100)
    assert rows[0].path == str(tmp_path / "TestImage/00001.jpg")
