import json
from pathlib import Path

import pytest

from ray_iqa.data.formats.q_align import read_q_align, write_q_align
from ray_iqa.data.formats.source import Source
from ray_iqa.errors import DataError

SOURCE = Source(dataset="agiqa-3k", images=Path("/data"), direction="higher")
SAID = [{"from": "human", "value": "?<|image|>"}, {"from": "gpt", "value": "The quality of the image is bad."}]


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "a.jpg->4.57", "image": "kadid10k/a.jpg", "conversations": SAID},
        {"id": "a.jpg->9", "image": "kadid10k/a.jpg", "conversations": SAID, "gt_score": "4.57"},
        {"img_path": "kadid10k/a.jpg", "gt_score": 4.57},
    ],
)
def test_the_three_forms_of_a_row(entry: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps([entry]))
    (row,) = read_q_align(tmp_path / "m.json", SOURCE)
    assert (row.path, row.mos) == ("/data/kadid10k/a.jpg", 4.57)


def test_round_trip(tmp_path: Path) -> None:
    rows = SOURCE.rows([("", {"name": "x/a.jpg", "mos": 1.25}), ("", {"name": "x/b.jpg", "mos": 3.0})])
    write_q_align(tmp_path / "m.json", rows, Path("/data"))
    assert read_q_align(tmp_path / "m.json", SOURCE) == rows
    assert json.loads((tmp_path / "m.json").read_text())[0]["id"] == "a.jpg->1.25"


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"gt_score": 1}, "must name one image"),
        ({"image": "a.jpg", "img_path": "b.jpg", "gt_score": 1}, "must name one image"),
        ({"image": ["a.jpg", "b.jpg"], "gt_score": 1}, "must name one image"),
        ({"image": "a.jpg", "id": "a.jpg"}, "must have its label"),
    ],
)
def test_rows_without_image_or_label_are_named(entry: dict[str, object], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps([{"image": "a.jpg", "gt_score": 1}, entry]))
    with pytest.raises(DataError, match=rf"m.json entry 2: {sentence}"):
        read_q_align(tmp_path / "m.json", SOURCE)
