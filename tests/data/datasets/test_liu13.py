from pathlib import Path

from native_copies import touch_image, write_lines

from ray_iqa.data.datasets import liu13


def test_list_of_deblurring_results(tmp_path: Path) -> None:
    write_lines(tmp_path / "Deblur_test_all.txt", "0_0.png 0_1.png 4.569234903368079", "16_0.png 16_4.png 4.8")
    touch_image(tmp_path / "0_1.png")
    rows = liu13.DATASET.rows(tmp_path)
    assert [(row.ref_id, row.image_id, row.mos) for row in rows] == [
        ("0_0", "0_1.png", 4.569234903368079),
        ("16_0", "16_4.png", 4.8),
    ]
    assert rows[0].scene_id is None
