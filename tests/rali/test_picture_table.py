"""What a job works on: each picture once, in order, and what is done already left out."""

from pathlib import Path

import pyarrow as pa
import pytest

from ray_iqa.config.pictures import PicturesConfig
from ray_iqa.errors import DataError
from ray_iqa.rali.annotations import pictures as picture_table
from ray_iqa.rali.annotations.pictures import SCHEMA, read_pictures, without


def listed(folder: Path, *lines: str, name: str = "list.csv") -> pa.Table:
    (folder / name).write_text("\n".join(["path,image_id,dataset", *lines]) + "\n")
    return read_pictures(PicturesConfig(sources=[str(folder / name), str(folder / name)]))


def test_each_picture_is_there_once_in_the_order_of_the_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_table, "_CHUNK", 2)  # rows that belong together are not in one chunk
    found = listed(tmp_path, "/b.png,,", "/a.png,,", "/c.png,,mine", "/b.png,,", "/a.png,,mine", "/d.png,,")
    assert found.schema == SCHEMA
    assert list(zip(found["dataset"].to_pylist(), found["image_id"].to_pylist(), strict=True)) == [
        ("images", "/b.png"),
        ("images", "/a.png"),
        ("mine", "/c.png"),
        ("mine", "/a.png"),
        ("images", "/d.png"),
    ]


def test_one_id_for_two_pictures_names_both(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'one' of 'images' is /a.png and /b.png"):
        listed(tmp_path, "/a.png,one,", "/c.png,two,", "/b.png,one,")


def test_one_picture_with_two_labels_names_both(tmp_path: Path) -> None:
    for name, mos in (("a", 1.0), ("b", 2.0)):
        text = f"dataset,image_id,path,mos,direction,split\nd,one,/a.png,{mos},higher,train\n"
        (tmp_path / f"{name}.csv").write_text(text)
    with pytest.raises(DataError, match=r"'one' of 'd' is /a.png, MOS 1.0 and /a.png, MOS 2.0"):
        read_pictures(PicturesConfig(sources=[str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]))


def test_what_is_done_is_left_out_by_data_set_and_id(tmp_path: Path) -> None:
    pictures = listed(tmp_path, "/a.png,one,x", "/b.png,one,y", "/c.png,two,x")
    done = pa.table({"dataset": ["y", "x"], "image_id": ["one", "two"]})  # plain strings, as in part files
    assert without(pictures, done)["image_path"].to_pylist() == ["/a.png"]
    assert without(pictures, done.slice(0, 0)) == pictures
    assert without(pictures, pa.table({"dataset": [], "image_id": []})) == pictures
