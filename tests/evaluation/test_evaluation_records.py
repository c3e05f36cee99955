import tempfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ray_iqa.errors import DataError, OutputError
from ray_iqa.evaluation.records import PREDICTION_SCHEMA, PredictionRow, read_predictions, write_predictions

ROW = PredictionRow(
    model="m",
    dataset="d",
    image_id="1",
    image_path="/1.png",
    level=3,
    mos=2.5,
    direction="lower",
    mos_low=0.0,
    mos_high=100.0,
    score=None,
    status="failed",
    reason="broken",
)


def test_rows_survive_a_round_trip(tmp_path: Path) -> None:
    write_predictions(tmp_path / "new", [ROW])
    assert read_predictions(tmp_path / "new") == [ROW]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["predictions.parquet"]
    assert str(PREDICTION_SCHEMA.field("level").type) == "int32"


def test_predictions_of_before_scenes_were_called_so_are_read(tmp_path: Path) -> None:
    row = replace(ROW, scene_id="s")
    table = pq.read_table(write_predictions(tmp_path, [row]))
    names = ["group_id" if name == "scene_id" else name for name in table.column_names]
    pq.write_table(table.rename_columns(names), tmp_path / "predictions.parquet")
    assert read_predictions(tmp_path) == [row]


def test_a_folder_without_predictions_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must be a folder written by ray-iqa eval, it has no predictions\.parquet"):
        read_predictions(tmp_path)
    (tmp_path / "predictions.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"predictions\.parquet is not a readable parquet file"):
        read_predictions(tmp_path)


def test_predictions_whose_folder_has_become_full_are_kept_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    (tmp_path / "predictions.parquet").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"No space left on device; .*; what was found is kept in ") as caught:
        write_predictions(tmp_path, [ROW])
    (kept,) = spare.iterdir()
    assert str(caught.value).endswith(str(kept))
    kept.rename(spare / "predictions.parquet")
    assert read_predictions(spare) == [ROW]
