import json
from dataclasses import replace
from pathlib import Path

import pytest

from ray_iqa.data.formats.deqa import read_deqa, read_deqa_base, write_deqa
from ray_iqa.data.formats.source import Source
from ray_iqa.errors import DataError

SOURCE = Source(dataset="koniq10k", images=Path("/data"), direction="higher")
ENTRY = {
    "id": "10007357496.jpg->68.72",
    "image": "KONIQ/images/10007357496.jpg",
    "gt_score": 68.72,
    "gt_score_norm": 3.68,
    "std": 9.5,
    "std_norm": 0.4,
}


def test_labels_and_spread_are_read_in_the_units_of_the_dataset(tmp_path: Path) -> None:
    (tmp_path / "test_koniq_2k.json").write_text(json.dumps([ENTRY, ENTRY | {"image": "b.jpg", "gt_score": "12.5"}]))
    rows = read_deqa(tmp_path / "test_koniq_2k.json", SOURCE)
    assert [(row.path, row.mos, row.mos_std) for row in rows] == [
        ("/data/KONIQ/images/10007357496.jpg", 68.72, 9.5),
        ("/data/b.jpg", 12.5, 9.5),
    ]


def test_base_files(tmp_path: Path) -> None:
    (tmp_path / "mos.json").write_text(json.dumps({"images/a.jpg": {"mos": "3.5", "std": "0.5"}, "b.jpg": {"mos": 1}}))
    (tmp_path / "split.json").write_text(json.dumps({"train": ["a.jpg"], "test": []}))
    rows = read_deqa_base(tmp_path, SOURCE)
    assert [(row.image_id, row.mos, row.mos_std, row.split) for row in rows] == [
        ("images/a.jpg", 3.5, 0.5, "train"),
        ("b.jpg", 1, None, None),
    ]


def base(folder: Path, mos: dict[str, object], split: dict[str, list[str]]) -> list[tuple[str, str | None]]:
    (folder / "mos.json").write_text(json.dumps(mos))
    (folder / "split.json").write_text(json.dumps(split))
    return [(row.image_id, row.split) for row in read_deqa_base(folder, SOURCE)]


def test_folders_tell_the_splits_apart(tmp_path: Path) -> None:
    mos = {"A/x.jpg": {"mos": 1}, "B/x.jpg": {"mos": 2}, "B/y.jpg": {"mos": 3}}
    whole = {"train": ["A/x.jpg"], "test": ["B/x.jpg", "y.jpg"]}
    assert base(tmp_path, mos, whole) == [("A/x.jpg", "train"), ("B/x.jpg", "test"), ("B/y.jpg", "test")]
    assert base(tmp_path, mos, {"train": ["data/A/x.jpg"]})[1] == ("B/x.jpg", None)
    for split, sentence in (
        ({"train": ["x.jpg"]}, "'x.jpg' fits both '/data/A/x.jpg' and '/data/B/x.jpg'; the whole name must be given"),
        ({"train": ["A/x.jpg"], "test": ["./A/x.jpg"]}, "'A/x.jpg' must be in one split, but it is in 'train' by"),
        ({"train": ["A/x.jpg", "z.jpg"]}, "1 listed names fit no image_id, .*'z.jpg' at split.json train entry 2"),
    ):
        with pytest.raises(DataError, match=sentence):
            base(tmp_path, mos, split)
    (tmp_path / "mos.json").write_text('{"A/x.jpg": {"mos": 1}, "A/x.jpg": {"mos": 2}}')
    with pytest.raises(DataError, match=r"entry 2 of an object: the key 'A/x.jpg' is already at mos.json, entry 1"):
        read_deqa_base(tmp_path, SOURCE)


def test_the_names_of_live_survive_a_round_trip(tmp_path: Path) -> None:
    """982 pictures, of which 749 share their file name with one of another folder."""
    folders = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}
    names = [f"live/{folder}/img{n}.bmp" for folder, count in folders.items() for n in range(1, count + 1)]
    split_of = {name: "test" if index % 7 in (1, 2) else "train" for index, name in enumerate(names)}
    labels = ({"name": name, "mos": i, "mos_std": 1.0, "split": split_of[name]} for i, name in enumerate(names))
    rows = SOURCE.rows(("", label) for label in labels)
    write_deqa(tmp_path, rows, Path("/data"))
    assert {row.image_id: row.split for row in read_deqa_base(tmp_path, SOURCE)} == split_of


def test_written_files_are_read_again_and_hold_both_scales(tmp_path: Path) -> None:
    rows = SOURCE.rows(
        ("", {"name": f"images/{name}.jpg", "mos": mos, "mos_std": 10.0, "split": split})
        for name, mos, split in (("a", 20.0, "train"), ("b", 40.0, "train"), ("c", 100.0, "test"))
    )
    write_deqa(tmp_path, rows, Path("/data"))
    assert read_deqa_base(tmp_path, SOURCE) == rows
    assert read_deqa(tmp_path / "test.json", SOURCE) == [replace(rows[2], split=None)]
    second = json.loads((tmp_path / "train.json").read_text())[1]
    # (40 - 20) / (100 - 20) of the way from 1 to 5; 10 units are 4 * 10 / 80.
    assert (second["gt_score_norm"], second["std_norm"]) == (2.0, 0.5)
    assert second["id"] == "b.jpg->40.0"
    with pytest.raises(DataError, match="holds one dataset"):
        write_deqa(tmp_path, [rows[0], replace(rows[1], dataset="other")], Path("/data"))


@pytest.mark.parametrize("text", ["{", '{"a": 1}', "[1]", "[]", '[{"image": "a.jpg"}]'])
def test_other_contents_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(
        DataError,
        match=r"not JSON|must hold a list|a JSON object|has no rows|gt_score must not be empty",
    ):
        read_deqa(tmp_path / "m.json", SOURCE)
