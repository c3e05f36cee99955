from pathlib import Path

from native_copies import touch_image, write_workbook

from ray_iqa.data.datasets import agiqa1k


def test_workbook_with_prompts(tmp_path: Path) -> None:
    sheet = [["Image", "Prompt", "MOS"], ["deepai_0_0_1.png", "bird driving car ", 2.75]]
    write_workbook(tmp_path / "AIGC_MOS_Zscore.xlsx", {"Sheet1": sheet})
    touch_image(tmp_path / "file/deepai_0_0_1.png")
    (row,) = agiqa1k.read(tmp_path)
    assert (row.mos, row.mos_std, row.ref_id, row.direction) == (2.75, None, "bird driving car", "higher")
    assert row.path == str(tmp_path / "file/deepai_0_0_1.png")
