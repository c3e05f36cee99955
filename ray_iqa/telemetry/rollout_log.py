"""Every rollout of every step as Parquet; ``pandas.read_parquet(run_dir + "/rollouts")`` reads them all."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ray_iqa.files import whole_file
from ray_iqa.types import Answer, ParseFailure, StepRecord

SCHEMA = pa.schema(
    [
        ("step", pa.int32()),
        ("dataset", pa.string()),
        ("image_id", pa.string()),
        ("image_path", pa.string()),
        ("mos", pa.float64()),  # on the dataset's own scale
        ("k", pa.int32()),
        ("text", pa.string()),
        ("score", pa.float32()),  # null when unparsed
        ("parsed", pa.bool_()),
        ("parse_failure", pa.string()),  # the parser's reason, or why nothing was drawn; null when parsed
        ("reward", pa.float32()),  # before it the terms of the reward, a column each
        ("advantage", pa.float32()),
        ("trainable", pa.bool_()),
        ("num_tokens", pa.int32()),
        ("finish_reason", pa.string()),
        ("policy_version", pa.int32()),
    ]
)


class RolloutLog:
    """Writes one file per step into ``folder``; a file is there whole or not at all.

    Args:
        folder: Created when missing.
        parse: The parser of the reward; asked again, for its reason, where a rollout did not parse.
        keep: Newest steps whose files are kept; None keeps all.
    """

    def __init__(
        self, folder: Path, parse: Callable[[str, str | None], Answer | ParseFailure], keep: int | None = None
    ) -> None:
        self._folder, self._parse, self._keep = folder, parse, keep
        folder.mkdir(parents=True, exist_ok=True)

    def log(self, record: StepRecord) -> None:
        """Write ``step-<step>.parquet``: B * K rows in the order of the groups."""
        schema = SCHEMA
        for name in record.table.terms:
            schema = schema.insert(schema.get_field_index("reward"), pa.field(name, pa.float32()))
        rows = [self._row(record, b, k) for b, group in enumerate(record.groups) for k in range(len(group.completions))]
        name = f"step-{record.step:06d}.parquet"
        with whole_file(self._folder / name) as partial:  # its name begins with a dot: readers of the folder skip it
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), partial, compression="zstd")
        if self._keep is not None:
            self._remove(range(record.step - self._keep + 1))

    def remove_after(self, step: int) -> None:
        """Delete the files of later steps and what an interrupted write left."""
        self._remove(range(step + 1, sys.maxsize))

    def _remove(self, steps: range) -> None:
        for path in self._folder.iterdir():
            written = re.fullmatch(r"step-(\d+)\.parquet", path.name)
            if path.name.startswith(".") or (written and int(written[1]) in steps):
                path.unlink()

    def _row(self, record: StepRecord, b: int, k: int) -> dict[str, object]:
        group, table = record.groups[b], record.table
        completion, parsed = group.completions[k], bool(table.parsed[b, k])
        return {
            "step": record.step,
            "dataset": group.image.dataset,
            "image_id": group.image.image_id,
            "image_path": group.image.image_path,
            "mos": group.image.mos,
            "k": k,
            "text": completion.text,
            "score": float(table.scores[b, k]) if parsed else None,
            "parsed": parsed,
            "parse_failure": None if parsed else group.problem or self._reason(completion.text, group.image.question),
            **{name: float(values[b, k]) for name, values in table.terms.items() if not np.isnan(values[b, k])},
            "reward": float(table.rewards[b, k]),
            "advantage": float(record.advantages[b, k]),
            "trainable": bool(table.trainable[b, k]),
            "num_tokens": len(completion.token_ids),
            "finish_reason": completion.finish_reason,
            "policy_version": group.policy_version,
        }

    def _reason(self, text: str, question: str | None) -> str | None:
        answer = self._parse(text, question)
        return answer.reason if isinstance(answer, ParseFailure) else None  # aborted, though the text would parse
