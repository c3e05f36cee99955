from pathlib import Path

import pytest
from native_copies import touch_image, write_lines

from ray_iqa.data.datasets import flive
from ray_iqa.errors import DataError

NAMES = ["voc_emotic_ava/a.jpg", "voc_emotic_ava/b.jpg", "blur_dataset/c.jpg", "blur_dataset/d.jpg"]


def test_sets_come_from_their_lists(tmp_path: Path) -> None:
    labels = [f"{name},{60 + index}.5" for index, name in enumerate(NAMES)]
    write_lines(tmp_path / "labels_image.csv", "name,mos", *labels)
    write_lines(tmp_path / "labels640.csv", "name_image,mos_image", f"{NAMES[0]},60.5")
    padded = [f"{NAMES[1]},True", f"{NAMES[2]},False", f"{NAMES[0]},True"]
    write_lines(tmp_path / "labels=640_padded.csv", "name_image,is_valid", *padded)
    touch_image(tmp_path / "database" / NAMES[2])
    rows = flive.DATASET.rows(tmp_path)
    assert [(row.image_id, row.mos, row.split) for row in rows] == [
        (NAMES[0], 60.5, "test"),
        (NAMES[1], 61.5, "val"),
        (NAMES[2], 62.5, "train"),
        (NAMES[3], 63.5, "train"),
    ]
    assert rows[2].path == str(tmp_path / "database" / NAMES[2])


def test_without_the_padded_list_nothing_is_called_train(tmp_path: Path) -> None:
    write_lines(tmp_path / "labels_image.csv", "name,mos", *(f"{name},60.5" for name in NAMES))
    write_lines(tmp_path / "labels640.csv", "name_image,mos_image", f"{NAMES[0]},60.5")
    (tmp_path / "images").mkdir()
    assert [row.split for row in flive.DATASET.rows(tmp_path)] == ["test", None, None, None]


def test_without_the_lists_there_is_no_split(tmp_path: Path) -> None:
    write_lines(tmp_path / "database/labels_image.csv", "name,mos", f"{NAMES[0]},60.5")
    assert [row.split for row in flive.DATASET.rows(tmp_path)] == [None]


def test_a_list_of_other_names_is_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "labels_image.csv", "name,mos", f"{NAMES[0]},60.5")
    write_lines(tmp_path / "labels640.csv", "name_image,mos_image", "a.jpg,60.5")
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=r"labels640.csv must name pictures of labels_image.csv, but none of its 1"):
        flive.DATASET.rows(tmp_path)
