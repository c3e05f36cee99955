from pathlib import Path

import pytest
from native_copies import touch_image, write_lines

from ray_iqa.data.datasets import piq23
from ray_iqa.errors import DataError

HEADER = (
    "IMAGE PATH,JOD,JOD STD,CI LOW,CI HIGH,CI RANGE,QUALITY LEVEL,CLUSTER,TOTAL COMPARISONS,IMAGE,SCENE,ATTRIBUTE,"
    "SCENE IDX,CONDITION"
)


def line(attribute: str, number: int, scene: int, jod: float) -> str:
    name = f"{number}_Indoor_Scene_{scene}.jpg"
    tail = f"Indoor_Scene_{scene},{attribute},{scene},Indoor"
    return f"{attribute}\\{name},{jod},0.39,-4.4,-2.8,1.5,0,-1.0,143.0,{name},{tail}"


@pytest.mark.parametrize("folder", ["", "Scores/"])
def test_back_slashes_scenes_and_the_scene_split(folder: str, tmp_path: Path) -> None:
    for attribute, jod in (("Overall", -3.7), ("Details", 1.5), ("Exposure", 0.0)):
        lines = [line(attribute, 66, 0, jod), line(attribute, 9, 1, -7.1)]
        write_lines(tmp_path / f"{folder}Scores_{attribute}.csv", HEADER, *lines, end="\r\n")
    scenes = ["SCENE,SPLIT,NB IMAGES", "Indoor_Scene_0,Train,72", "Indoor_Scene_1,Test,103"]
    write_lines(tmp_path / "Scene Split.csv", *scenes, end="\r\n")
    touch_image(tmp_path / "Overall/66_Indoor_Scene_0.JPG")
    overall, details, _ = (dataset.rows(tmp_path) for dataset in piq23.DATASETS)
    assert [row.scene_id for row in overall] == ["Indoor_Scene_0", "Indoor_Scene_1"]
    assert [row.split for row in overall] == ["train", "test"]
    assert (overall[0].mos, overall[0].mos_std, overall[0].scale_min) == (-3.7, 0.39, None)
    assert overall[0].path == str(tmp_path / "Overall/66_Indoor_Scene_0.JPG")
    assert overall[0].dataset == "piq23-overall"
    assert (details[0].dataset, details[0].mos) == ("piq23-details", 1.5)


def test_missing_scores_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Scores_Overall.csv or Scores/Scores_Overall.csv"):
        piq23.DATASETS[0].rows(tmp_path)
