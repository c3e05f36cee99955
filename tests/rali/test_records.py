"""Annotation rows through Parquet."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_iqa.errors import DataError
from ray_iqa.rali.annotations.records import (
    RECORD_SCHEMA,
    ReasoningRecord,
    records_to_table,
    table_to_records,
)

GOOD = ReasoningRecord(
    image_id="a",
    image_path="a.png",
    dataset="d",
    mos=61.5,
    mapped_mos=2.5,
    teacher_score=3.25,
    teacher_score_std=0.5,
    reasoning="It looks blurred. It looks dark.",
    text_index=1,
    policy_version=40,
    status="ok",
    reason=None,
    num_tokens=90,
    truncated=True,
    text_encoder="ViT-L-14",
    training_texts=["It looks blurred.", "It looks dark."],
    text_embeddings=[[0.5, 0.5], [1.0, 0.0]],
)
BROKEN = ReasoningRecord(
    image_id="b",
    image_path="b.png",
    dataset="d",
    mos=None,
    mapped_mos=None,
    teacher_score=None,
    teacher_score_std=None,
    reasoning=None,
    text_index=0,
    policy_version=40,
    status="failed",
    reason="b.png: no such image file",
    num_tokens=None,
    truncated=None,
    text_encoder=None,
    training_texts=[],
    text_embeddings=[],
)


def test_rows_survive_parquet_and_the_file_explains_itself(tmp_path: Path) -> None:
    pq.write_table(records_to_table([GOOD, BROKEN]), tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    assert table_to_records(table) == [GOOD, BROKEN]
    assert all(table.schema.field(name).metadata[b"description"] for name in RECORD_SCHEMA.names)


def test_missing_column_is_named() -> None:
    table = records_to_table([GOOD]).drop_columns(["teacher_score"])
    with pytest.raises(DataError, match="'teacher_score'"):
        table_to_records(table)


def test_column_of_another_type_is_a_data_error() -> None:
    table = records_to_table([GOOD])
    place = table.schema.get_field_index("mos")
    with pytest.raises(DataError, match="schema"):
        table_to_records(table.set_column(place, "mos", pa.array(["good"])))


def test_a_column_or_a_text_that_is_there_twice_is_refused() -> None:
    table = records_to_table([GOOD, BROKEN])
    with pytest.raises(DataError, match="annotation 3: text 1 of 'a' of 'd' is already at annotation 1"):
        table_to_records(records_to_table([GOOD, BROKEN, GOOD]))
    with pytest.raises(DataError, match="column 19: the name 'mos' is already at an annotation file column 5"):
        table_to_records(table.append_column("mos", table["mos"]))
