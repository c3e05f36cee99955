"""The seven images that trained the raters of LIVE Challenge are left out, by every reader of that dataset."""

import json
from pathlib import Path

import pytest

from ray_iqa.data.convert import Interpretation, read_source

NAMES = [*(f"Images/{name}" for name in ("t1.bmp", "T7.BMP", "t8.bmp", "3.bmp"))]
FILES = {
    "pyiqa": ("m.csv", "img_name,mos\n" + "".join(f"{name},50\n" for name in NAMES)),
    "table": ("t.csv", "p,m\n" + "".join(f"{name},50\n" for name in NAMES)),
    "deqa": ("d.json", json.dumps([{"image": name, "gt_score": 50} for name in NAMES])),
    "q-align": ("q.json", json.dumps([{"img_path": name, "gt_score": 50} for name in NAMES])),
    "visualquality-r1-txt": ("l.txt", "".join(f"{name} 50\n" for name in NAMES)),
    "visualquality-r1-jsonl": (
        "v.jsonl",
        "".join(
            json.dumps({"image": [name], "dataset_name": "NAME", "conversations": [{"value": "?"}, {"value": 50}]})
            + "\n"
            for name in NAMES
        ),
    ),
}


@pytest.mark.parametrize("dataset", ["live-challenge", "mine"])
@pytest.mark.parametrize("kind", FILES)
def test_one_rule_in_all_readers(kind: str, dataset: str, tmp_path: Path) -> None:
    name, text = FILES[kind]
    (tmp_path / name).write_text(text.replace("NAME", dataset))
    told = Interpretation(dataset=dataset, direction="higher", columns={"path": "p", "mos": "m"})
    kept = NAMES[2:] if dataset == "live-challenge" else NAMES
    assert [row.image_id for row in read_source(kind, tmp_path / name, told)] == kept
