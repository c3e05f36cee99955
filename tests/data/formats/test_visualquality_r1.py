import json
from dataclasses import replace
from pathlib import Path

import pytest

from ray_iqa.data.formats.source import Source
from ray_iqa.data.formats.visualquality_r1 import read_jsonl, read_txt, write_jsonl, write_txt
from ray_iqa.errors import DataError

SOURCE = Source(dataset="kadid10k", images=Path("/images"), direction="higher")
FORMS = {
    "10004473376.jpg 4.47 0.52": (None, "10004473376.jpg", 4.47, 0.52),
    "DatabaseImage0190.JPG 52.28": (None, "DatabaseImage0190.JPG", 52.28, None),
    "0_0.png 0_1.png 4.569": ("0_0.png", "0_1.png", 4.569, None),
    "I01.png I01_01_01.png 4.57 0.704": ("I01.png", "I01_01_01.png", 4.57, 0.704),
}


@pytest.mark.parametrize("line", FORMS)
def test_the_four_forms_of_a_line(line: str, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text(f"{line}\n\n")
    ref, name, mos, std = FORMS[line]
    (row,) = read_txt(file, SOURCE, std_in_mos_units=True)
    assert (row.ref_id, row.image_id, row.mos, row.mos_std) == (ref, name, mos, std)
    assert row.path == f"/images/{name}"
    (row,) = read_txt(file, SOURCE)
    assert row.mos_std is None  # the published lists keep old units beside rescaled MOS


@pytest.mark.parametrize("line", ["my image.png 3.5", "a.png", "a.png 3 4 5", "a.png b.png c.png 3"])
def test_lines_of_another_form_are_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"a.png 1\n{line} x\n")
    with pytest.raises(DataError, match=r"list.txt line 2: must be \[reference\] name mos \[std\]"):
        read_txt(tmp_path / "list.txt", SOURCE)


def test_lists_survive_a_round_trip(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.png 4.5 0.25\nsub/b.png 1.125 0.5\n")
    rows = read_txt(tmp_path / "list.txt", SOURCE, std_in_mos_units=True)
    write_txt(tmp_path / "again.txt", rows, Path("/images"))
    assert (tmp_path / "again.txt").read_bytes() == (tmp_path / "list.txt").read_bytes()
    with pytest.raises(DataError, match=r"every image must lie below /other"):
        write_txt(tmp_path / "again.txt", rows, Path("/other"))
    with pytest.raises(DataError, match=r"must not hold blanks, got 'a b.png'"):
        write_txt(tmp_path / "again.txt", [replace(rows[0], path="a b.png")], Path("/images"))
    with pytest.raises(DataError, match="higher-is-better"):
        write_txt(tmp_path / "again.txt", [replace(rows[0], direction="lower")], Path("/images"))


def test_training_files_hold_rescaled_labels_that_point_upwards(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.png 0\nb.png 25\nc.png 100\n")
    rows = [replace(row, direction="lower") for row in read_txt(tmp_path / "list.txt", SOURCE)]
    write_jsonl(tmp_path / "train.jsonl", rows, Path("/images"), "What is your rating?")
    first = json.loads((tmp_path / "train.jsonl").read_text().splitlines()[0])
    assert first == {
        "id": 1,
        "dataset_name": "kadid10k",
        "image": ["a.png"],
        "conversations": [{"from": "human", "value": "What is your rating?"}, {"from": "gpt", "value": 5.0}],
    }
    again = read_jsonl(tmp_path / "train.jsonl", replace(SOURCE, dataset="other"))
    assert [(row.image_id, row.mos, row.dataset) for row in again] == [
        ("a.png", 5, "kadid10k"),
        ("b.png", 4, "kadid10k"),
        ("c.png", 1, "kadid10k"),
    ]


@pytest.mark.parametrize("answer", [4.25, "4.25", "<answer> 4.25 </answer>"])
@pytest.mark.parametrize("image", ["a.png", ["a.png"]])
def test_training_files_as_people_write_them(answer: object, image: object, tmp_path: Path) -> None:
    record = {"dataset_name": "d", "image": image, "conversations": [{"value": "?"}, {"value": answer}]}
    (tmp_path / "train.jsonl").write_text(json.dumps(record) + "\n")
    (row,) = read_jsonl(tmp_path / "train.jsonl", SOURCE)
    assert (row.image_id, row.mos) == ("a.png", 4.25)
    for images in ([], ["a.png", "b.png"]):
        (tmp_path / "train.jsonl").write_text(json.dumps(record | {"image": images}) + "\n")
        with pytest.raises(DataError, match="line 1: must have one image, dataset_name and conversations"):
            read_jsonl(tmp_path / "train.jsonl", SOURCE)
