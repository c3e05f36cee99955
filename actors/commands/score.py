"""`ray-iqa score`: pictures -> quality by any model, in this process; needs no Ray."""

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypedDict

import pyarrow as pa

from actors.exit_codes import FAILURE, SOME_FAILED, USAGE
from ray_iqa.config.precision import Precision
from ray_iqa.data.find_images import find_images
from ray_iqa.data.tables import SUFFIXES, keep_records
from ray_iqa.errors import ConfigError
from ray_iqa.files import writable_file
from ray_iqa.rali.scorer import RaliScorer
from ray_iqa.scoring import load

_PER_BAR_STEP = 128  # pictures
_NUMBERS = ("score", "scale_min", "scale_max")


class ScoreRow(TypedDict):
    """One line of the output; a failed picture has a reason and no score."""

    path: str
    score: float | None
    scale_min: float
    scale_max: float
    status: Literal["ok", "failed"]
    reason: str | None


_SCHEMA = pa.schema([(name, pa.float64() if name in _NUMBERS else pa.string()) for name in ScoreRow.__annotations__])


def run(*, profile: str | None, **options: Any) -> int:  # noqa: ANN401 - of `_score`
    """As `_score`, with a trace in ``profile`` unless that is None."""
    if profile is None:
        return _score(**options)
    from ray_iqa.backends.profiling import traced

    with traced(profile):
        return _score(**options)


def _score(
    names: Sequence[str], model: str, out: str | None, device: str, precision: Precision, *, strict: bool
) -> int:
    """Score files, folders and patterns; the exit code.

    Args:
        names: as `find_images` takes them.
        model: as `ray_iqa.load` takes it.
        out: file to write instead of standard output: csv, jsonl or parquet.
        device: of a light scorer, as torch spells it.
        precision: of the image tower.
        strict: some failed pictures are a failure.

    Raises:
        ConfigError, DataError: the model cannot be loaded.
        OutputError: ``out`` cannot be written; nothing has been scored then.
    """
    if out is not None and Path(out).suffix not in SUFFIXES:
        sys.stderr.write(f"ray-iqa: --out must end in {', '.join(SUFFIXES)}, got {out!r}\n")
        return USAGE
    try:
        files = find_images(names)
    except ConfigError as error:
        sys.stderr.write(f"ray-iqa: {error}\n")
        return USAGE
    if out is not None:
        writable_file(out)
    rows = score_files(files, model, device, precision)
    if out is None:
        for row in rows:
            found = "failed" if row["score"] is None else f"{row['score']:.4f}"
            sys.stdout.write(f"{found}\t{row['path']}{'' if row['reason'] is None else chr(9) + row['reason']}\n")
    else:
        write_scores(Path(out), rows)
    num_failed = sum(row["status"] == "failed" for row in rows)
    sys.stderr.write(f"{len(rows) - num_failed:,} of {len(rows):,} pictures scored, 1 (bad) to 5 (excellent)\n")
    if num_failed == 0:
        return 0
    return FAILURE if strict or num_failed == len(rows) else SOME_FAILED


def score_files(files: Sequence[str | Path], model: str, device: str, precision: Precision = "fp32") -> list[ScoreRow]:
    """One row per file, in their order; a progress bar and what the scorer cannot see go to standard error."""
    from rich.console import Console
    from rich.progress import Progress

    scorer = load(model, device=device, precision=precision)
    rows: list[ScoreRow] = []
    pending = iter(files)
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("Scoring", total=len(files))
        while batch := list(islice(pending, _PER_BAR_STEP)):
            for file, found in zip(batch, scorer.score(batch), strict=True):
                rows.append(
                    ScoreRow(
                        path=str(file),
                        score=found.value,
                        scale_min=found.scale.minimum,
                        scale_max=found.scale.maximum,
                        status=found.status,
                        reason=found.reason,
                    )
                )
            progress.advance(bar, len(batch))
    if isinstance(scorer.model, RaliScorer):
        sys.stderr.write(f"{Path(model).name}: {scorer.model.artifact.encoder.preprocessing.limit}\n")
    return rows


def write_scores(file: Path, rows: Sequence[ScoreRow]) -> None:
    """Write a csv, jsonl or parquet file, whole or not at all, as `keep_records` does."""
    keep_records(file, rows, _SCHEMA)
