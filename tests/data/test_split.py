from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ray_iqa.data.formats.split_lists import Listed, read_split_list, split_by_lists
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.split import published_split, split_by_reference
from ray_iqa.errors import DataError

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def ladder(dataset: str, num_references: int, versions: int = 4) -> list[ManifestRow]:
    return [
        ManifestRow(
            dataset=dataset,
            image_id=f"I{reference:02d}_{version}.png",
            path=f"/data/I{reference:02d}_{version}.png",
            ref_id=f"I{reference:02d}",
            mos=3.0,
            direction="higher",
        )
        for reference in range(1, num_references + 1)
        for version in range(versions)
    ]


def listed(**names: list[str]) -> list[Listed]:
    return [
        Listed(place=f"{split} {number}", name=name, split=split)
        for split, own in names.items()
        for number, name in enumerate(own, start=1)
    ]


def test_versions_of_a_content_stay_together_and_shares_hold_per_dataset() -> None:
    rows = ladder("a", 20) + ladder("b", 10)
    found = split_by_reference(rows, SHARES, seed=1)
    splits_of: dict[tuple[str, str], set[str]] = {}
    for row in found:
        splits_of.setdefault((row.dataset, row.ref_id), set()).add(row.split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    counts = Counter((dataset, *splits) for (dataset, _), splits in splits_of.items())
    assert counts == {
        ("a", "train"): 12,
        ("a", "val"): 4,
        ("a", "test"): 4,
        ("b", "train"): 6,
        ("b", "val"): 2,
        ("b", "test"): 2,
    }
    assert [replace(row, split=None) for row in found] == rows


def test_the_seed_decides_and_the_order_of_rows_does_not() -> None:
    rows = ladder("a", 20)
    first = {row.image_id: row.split for row in split_by_reference(rows, SHARES, seed=1)}
    assert {row.image_id: row.split for row in split_by_reference(rows[::-1], SHARES, seed=1)} == first
    assert {row.image_id: row.split for row in split_by_reference(rows, SHARES, seed=2)} != first


def test_images_without_a_reference_are_their_own_content_or_their_scene() -> None:
    alone = [replace(row, ref_id=None) for row in ladder("a", 10, versions=1)]
    assert Counter(row.split for row in split_by_reference(alone, SHARES, 0)) == {"train": 6, "val": 2, "test": 2}
    scenes = [replace(row, ref_id=None, scene_id=row.ref_id) for row in ladder("a", 5)]
    assert Counter(row.split for row in split_by_reference(scenes, SHARES, 0)) == {"train": 12, "val": 4, "test": 4}


@pytest.mark.parametrize(
    "shares", [{"train": 0.6, "test": 0.3}, {"train": 1.2, "test": -0.2}, {}, {"a": 0.5, "b": float("nan")}]
)
def test_shares_must_add_up(shares: dict[str, float]) -> None:
    with pytest.raises(DataError, match="add up to 1"):
        split_by_reference(ladder("a", 10), shares, 0)


def test_too_few_contents_are_refused() -> None:
    with pytest.raises(DataError, match="dataset 'a' has 2 contents, too few"):
        split_by_reference(ladder("a", 2), SHARES, 0)


def test_lists_name_images_files_or_references() -> None:
    rows = ladder("a", 3, versions=2)
    found = split_by_lists(rows, listed(train=["I01"], test=["I02_0.png"]))
    assert [row.split for row in found] == ["train", "train", "test", None, None, None]
    with pytest.raises(DataError, match=r"1 listed names fit no image_id, file or ref_id .* first is 'I09' at train 2"):
        split_by_lists(rows, listed(train=["I01", "I09"]))
    with pytest.raises(
        DataError, match=r"'I01_0.png' .* is in 'train' by 'I01' at train 1 and in 'test' by './I01' at"
    ):
        split_by_lists(rows, listed(train=["I01"], test=["./I01"]))
    with pytest.raises(DataError, match=r"'I01_0.png' .* 'train' by 'I01' at train 1 and in 'test' by 'I01_0.png' at"):
        split_by_lists(rows, listed(train=["I01"], test=["I01_0.png"]))


def test_folders_and_datasets_are_part_of_a_name() -> None:
    rows = [
        ManifestRow(dataset="live", image_id=name, path=f"/data/{name}", mos=1.0, direction="lower")
        for name in ("jp2k/img1.bmp", "jpeg/img1.bmp", "jp2k/img2.bmp", "jpeg/img2.bmp")
    ]
    found = split_by_lists(rows, listed(train=["jp2k/img1.bmp"], test=["jpeg/img2.bmp"]))
    assert [row.split for row in found] == ["train", None, None, "test"]
    with pytest.raises(DataError, match=r"'img1.bmp' fits both '/data/jp2k/img1.bmp' and '/data/jpeg/img1.bmp'"):
        split_by_lists(rows, listed(train=["img1.bmp"]))
    two = ladder("a", 2) + ladder("b", 2)
    with pytest.raises(DataError, match=r"train 1: 'I01' fits rows of a and of b; split them apart"):
        split_by_lists(two, listed(train=["I01"]))
    with pytest.raises(DataError, match=r"'I01_0.png' fits both"):
        split_by_lists(two, listed(train=["I01_0.png"]))


def test_the_published_split_of_kadid() -> None:
    rows = ladder("kadid10k", 81, versions=125)
    found = published_split(rows, "visualquality-r1")
    assert Counter(row.split for row in found) == {"train": 6125, "val": 2000, "test": 2000}
    split_of = {row.ref_id: row.split for row in found}
    assert (split_of["I01"], split_of["I07"], split_of["I19"], split_of["I81"]) == ("train", "val", "test", "test")
    with pytest.raises(DataError, match=r"no split of spaq by 'visualquality-r1' is known; .* kadid10k"):
        published_split(ladder("spaq", 3), "visualquality-r1")


def test_device_split_of_piq23_as_distributed(tmp_path: Path) -> None:
    file = tmp_path / "Device Split.csv"
    file.write_bytes(b"IMAGE,SPLIT\r\n0_Indoor_Scene_0.jpg,Train\r\n1_Indoor_Scene_0.jpg,Test\r\n")
    assert read_split_list(file) == [
        Listed(place="Device Split.csv line 2", name="0_Indoor_Scene_0.jpg", split="train"),
        Listed(place="Device Split.csv line 3", name="1_Indoor_Scene_0.jpg", split="test"),
    ]
    for text in ("a.jpg,train\nb.jpg,test\n", "IMAGE\na.jpg\n"):  # the first line is no row
        file.write_text(text)
        with pytest.raises(DataError, match=r"Device Split.csv line 1: must be a header, of a name and the split"):
            read_split_list(file)
    file.write_text("IMAGE,SPLIT\na.jpg,\n")
    with pytest.raises(DataError, match=r"Device Split.csv line 2: SPLIT must not be empty"):
        read_split_list(file)


def test_split_json_of_deqa_score(tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    file.write_text('{"train": ["I01_0.png", "images/I02_0.png"], "test": ["I03_0.png"]}')
    found = split_by_lists(ladder("a", 4, versions=1), read_split_list(file))
    assert [row.split for row in found] == ["train", "train", "test", None]
    file.write_text('{"train": "I01_0.png"}')
    with pytest.raises(DataError, match="an object with a list of names per split"):
        read_split_list(file)
