"""What annotation hands to the fit: one row per image and reasoning text, as Parquet with a written schema."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from ray_iqa.data.tables import read_columns
from ray_iqa.data.unique import grouped, once, unique_columns
from ray_iqa.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningRecord:
    """One reasoning text of one image, or why there is none.

    ``RECORD_SCHEMA`` describes every field. Numbers that do not exist are None, never NaN.
    """

    image_id: str
    image_path: str
    dataset: str
    content: str | None = None
    mos: float | None
    mapped_mos: float | None
    teacher_score: float | None
    teacher_score_std: float | None
    reasoning: str | None
    text_index: int
    policy_version: int
    status: Literal["ok", "failed"]
    reason: str | None
    num_tokens: int | None
    truncated: bool | None
    text_encoder: str | None
    training_texts: list[str]
    text_embeddings: list[list[float]]


def _field(name: str, kind: pa.DataType, nullable: bool, text: str) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": text})


RECORD_SCHEMA = pa.schema(
    [
        _field("image_id", pa.string(), False, "unique within the data set"),
        _field("image_path", pa.string(), False, "where the picture lies"),
        _field("dataset", pa.string(), False, "labels compare within a data set only"),
        _field("content", pa.string(), True, "equal for images of the data set that show the same; null where unknown"),
        _field("mos", pa.float64(), True, "label on the data set's own scale; null without labels"),
        _field("mapped_mos", pa.float64(), True, "label mapped linearly to 1-5, higher is better"),
        _field(
            "teacher_score", pa.float64(), True, "mean of the policy's parsed scores, 1-5, over the image's completions"
        ),
        _field("teacher_score_std", pa.float64(), True, "their standard deviation; null with fewer than two"),
        _field("reasoning", pa.string(), True, "the text between the think tags, cleaned; null if failed"),
        _field(
            "text_index", pa.int32(), False, "counts the texts of an image from 0; unique with dataset and image_id"
        ),
        _field(
            "policy_version", pa.int64(), False, "updates the policy had seen in the run that exported it; 0 for others"
        ),
        _field("status", pa.string(), False, "ok, or failed"),
        _field("reason", pa.string(), True, "one sentence why it failed; null if ok"),
        _field("num_tokens", pa.int32(), True, "CLIP tokens of the whole text, start and end included"),
        _field("truncated", pa.bool_(), True, "whether num_tokens exceeds what the text tower reads"),
        _field("text_encoder", pa.string(), True, "backbone name whose text tower made the embeddings"),
        _field("training_texts", pa.list_(pa.string()), False, "the text, or runs of whole sentences of a long one"),
        _field("text_embeddings", pa.list_(pa.list_(pa.float32())), False, "of training_texts, unit length"),
    ],
    metadata={"description": "one row per image and reasoning text", "format_version": "1"},
)


_LATER = "content"  # the column that files of ray_iqa before 0.2 do not have


def records_to_table(records: Iterable[ReasoningRecord]) -> pa.Table:
    """An Arrow table with ``RECORD_SCHEMA``."""
    return pa.Table.from_pylist([asdict(record) for record in records], schema=RECORD_SCHEMA)


def table_to_records(table: pa.Table) -> list[ReasoningRecord]:
    """The rows of a table.

    Raises:
        DataError: a column or a text is there twice, or a column of ``RECORD_SCHEMA`` is missing or has values of
            another type.
    """
    unique_columns(table.column_names, "an annotation file")
    if _LATER not in table.column_names:
        table = table.append_column(_LATER, pa.nulls(table.num_rows, pa.string()))
    missing = [name for name in RECORD_SCHEMA.names if name not in table.column_names]
    if missing:
        raise DataError(
            f"an annotation file must have the column {missing[0]!r}, found {', '.join(table.column_names)}"
        )
    try:
        rows = table.select(RECORD_SCHEMA.names).cast(RECORD_SCHEMA).to_pylist()
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"an annotation file does not fit the schema of annotations: {error}") from error
    records = [ReasoningRecord(**row) for row in rows]
    keys = ((record.dataset, record.image_id, record.text_index) for record in records)
    places = (f"annotation {number}" for number in range(1, len(records) + 1))
    return list(once(zip(places, keys, records, strict=True), "text {0[2]} of {0[1]!r} of {0[0]!r}").values())


def read_records(files: Iterable[str]) -> list[ReasoningRecord]:
    """The rows of annotation files.

    Raises:
        DataError: a file is no Parquet file, or as `table_to_records`.
    """
    tables = [read_columns(Path(file)) for file in files]
    try:
        return table_to_records(pa.concat_tables(tables, promote_options="default"))
    except pa.ArrowException as error:
        raise DataError(f"files of annotations must have the same columns: {error}") from error


def texts_by_image(records: Sequence[ReasoningRecord]) -> dict[tuple[str, str], list[ReasoningRecord]]:
    """(dataset, image_id) -> its records with a text, all in their order; failed records are passed over.

    Raises:
        DataError: there is no text.
    """
    ordered = sorted(records, key=lambda record: (record.dataset, record.image_id, record.text_index))
    texts = grouped(((item.dataset, item.image_id), item) for item in ordered if item.status == "ok" and item.reasoning)
    if not texts:
        raise DataError(f"a fit needs annotated images, found none without failure among {len(records)} records")
    return texts
