from pathlib import Path

from native_copies import touch_image, write_lines

from ray_iqa.data.datasets import sriqa_bench


def test_scenes_are_groups_and_originals_are_rated_among_the_methods(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "SRIQA-Bench_test_all.txt",
        "online50_Original.png online50_SeeSRx4.png 100.00000000000001",
        "online50_Original.png online50_Original.png 81.67066311938132",
        "srtest21_Original.png srtest21_SUPIRx4.png 39.971976921653436",
    )
    touch_image(tmp_path / "online50_SeeSRx4.png")
    rows = sriqa_bench.DATASET.rows(tmp_path)
    assert [row.scene_id for row in rows] == ["online50", "online50", "srtest21"]
    assert [row.distortion for row in rows] == ["SeeSR", "Original", "SUPIR"]
    assert [row.mos for row in rows] == [100, 81.67066311938132, 39.971976921653436]
    assert rows[0].path == str(tmp_path / "online50_SeeSRx4.png")
