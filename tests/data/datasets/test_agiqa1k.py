from pathlib import Path

import pytest
from native_copies import touch_image, write_workbook

from ray_iqa.data.datasets import agiqa1k


def test_workbook_with_prompts(tmp_path: Path) -> None:
    sheet = [["Image", "Prompt", "MOS"], ["deepai_0_0_1.png", "bird driving car ", 2.75]]
    write_workbook(tmp_path / "AIGC_MOS_Zscore.xlsx", {"Sheet1": sheet})
    touch_image(tmp_path / "file/deepai_0_0_1.png")
    (row,) = agiqa1k.DATASET.rows(tmp_path)
    assert (row.mos, row.mos_std, row.ref_id, row.direction) == (2.75, None, "bird driving car", "higher")
    assert row.path == str(tmp_path / "file/deepai_0_0_1.png")


def test_a_picture_with_two_labels_gets_no_row_and_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = [["a.jpg", "cat", 1.5], ["b.jpg", "dog", 0.44], ["c.jpg", "dog", 3.5], ["b.jpg", "dog", 2.08]]
    write_workbook(tmp_path / "AIGC_MOS_Zscore.xlsx", {"Sheet1": [["Image", "Prompt", "MOS"], *labels]})
    (tmp_path / "images").mkdir()
    assert [(row.image_id, row.mos) for row in agiqa1k.DATASET.rows(tmp_path)] == [("a.jpg", 1.5), ("c.jpg", 3.5)]
    assert caplog.messages == ["AIGC_MOS_Zscore.xlsx has several labels for b.jpg, which get no row"]
