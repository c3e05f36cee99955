import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_iqa.data.formats.source import Source, image_name
from ray_iqa.data.formats.table import read_named
from ray_iqa.errors import DataError

SOURCE = Source(dataset="mine", images=Path("/data"), direction="lower", scale=(0, 100))
RECORDS = [{"img": "a.png", "score": 10.5, "type": "blur"}, {"img": "sub/b.png", "score": 90, "type": "jpeg"}]


def write(folder: Path, suffix: str) -> Path:
    file = folder / f"t.{suffix}"
    match suffix:
        case "csv":
            file.write_text("img,score,type\n" + "".join(f"{','.join(map(str, r.values()))}\n" for r in RECORDS))
        case "jsonl":
            file.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
        case "parquet":
            pq.write_table(
                pa.table({"img": ["a.png", "sub/b.png"], "score": [10.5, 90], "type": ["blur", "jpeg"]}), file
            )
    return file


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_columns_are_named_by_the_caller(suffix: str, tmp_path: Path) -> None:
    rows = read_named(write(tmp_path, suffix), SOURCE, {"path": "img", "mos": "score", "distortion": "type"})
    assert [(row.image_id, row.path, row.mos, row.distortion) for row in rows] == [
        ("a.png", "/data/a.png", 10.5, "blur"),
        ("sub/b.png", "/data/sub/b.png", 90, "jpeg"),
    ]
    assert (rows[0].direction, rows[0].scale_max) == ("lower", 100)


def test_a_url_stays_one(tmp_path: Path) -> None:
    file, url = tmp_path / "t.csv", "s3://bucket/a.png"
    file.write_text(f"img,score\n{url},3\n")
    (row,) = read_named(file, SOURCE, {"path": "img", "mos": "score"})
    assert row.path == image_name(row, SOURCE.images) == url


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"path": "img"}, "needs the names of its columns for path and mos"),
        ({"path": "img", "mos": "MOS"}, "t.csv line 2: column 'MOS' is missing, found img, score, type"),
        ({"path": "img", "mos": "score", "sharpness": "type"}, "no canonical column 'sharpness'"),
    ],
)
def test_wrong_names_are_refused(columns: dict[str, str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        read_named(write(tmp_path, "csv"), SOURCE, columns)
