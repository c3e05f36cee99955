from pathlib import Path

from native_copies import touch_image, write_lines

from ray_iqa.data.datasets import min19


def test_scenes_with_underscores_and_algorithms(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "dehaze_test_all.txt",
        "Adirondack.png Adirondack_Berman16.png 3.35",
        "lawn1_D1.png lawn1_D1_He09.png 2.5",
    )
    touch_image(tmp_path / "images/lawn1_D1_He09.png")
    rows = min19.DATASET.rows(tmp_path)
    assert [(row.ref_id, row.distortion, row.mos) for row in rows] == [
        ("Adirondack", "Berman16", 3.35),
        ("lawn1_D1", "He09", 2.5),
    ]
    assert rows[1].path == str(tmp_path / "images/lawn1_D1_He09.png")
