"""`ray-iqa batch-score`: any number of pictures -> scores in Parquet, streamed by Ray Data, resumable."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray

from actors.cluster.connection import connected, worker_environment
from actors.cluster.placement import require
from actors.exit_codes import SOME_FAILED
from actors.jobs.parquet_job import JobRecord, add_parts, prepare_pipeline
from ray_iqa import __version__
from ray_iqa.answers.verdict import Verdict
from ray_iqa.config.jobs.batch_score import BatchScoreConfig
from ray_iqa.config.precision import check_precision
from ray_iqa.errors import ConfigError
from ray_iqa.evaluation.records import SCORE_FIELDS, score_columns
from ray_iqa.files import write_text
from ray_iqa.rali.annotations.parquet_parts import PartFiles, write_hidden
from ray_iqa.rali.annotations.pictures import blocks, read_pictures, without
from ray_iqa.rali.model.crops import ImageCrop
from ray_iqa.rali.scorer import RaliScorer
from ray_iqa.runs.digests import model_digest
from ray_iqa.runs.directory import RunDirectory
from ray_iqa.runs.preflight import output_folder

RUN_MANIFEST = "run.json"
SCORE_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("image_path", pa.string()),
        ("dataset", pa.string()),
        ("mos", pa.float64()),
        *SCORE_FIELDS,
    ]
)


def run(config: BatchScoreConfig) -> int:
    """Score what is not scored yet; exit code 0, or 3 when a picture failed."""
    run_dir = output_folder(config.run_dir)
    if not (Path(config.model) / "rali.json").is_file():
        raise ConfigError(f"model must be a folder written by fit-rali or convert-rali, got {config.model!r}")
    check_precision(config.precision, config.device)
    pictures = read_pictures(config.images)
    with RunDirectory(run_dir, config, contents={"model": model_digest(config.model)}):
        parts = PartFiles(run_dir / "scores")
        pending = without(pictures, parts.table(["dataset", "image_id"]))
        if pending.num_rows:
            with connected(config.cluster):
                job = _score(config, pending, parts, num_done=pictures.num_rows - pending.num_rows)
            _write_manifest(run_dir, config, job)
        status = parts.table(["status"]).column("status")
    num_failed = pc.sum(pc.equal(status, "failed")).as_py() or 0
    sys.stdout.write(f"{parts.folder}: {len(status) - num_failed:,} scored, {num_failed:,} failed\n")
    return SOME_FAILED if num_failed else 0


def _score(config: BatchScoreConfig, pictures: pa.Table, parts: PartFiles, num_done: int) -> JobRecord:
    from ray_iqa.rali.model.artifact import read_card  # imports torch

    pipeline, size = config.pipeline, config.pipeline.batch_size
    scorer = {"num_cpus": pipeline.cpus_per_scorer, "num_gpus": pipeline.gpus_per_scorer}
    require({"CPU": pipeline.cpus_per_scorer + pipeline.cpus_per_decoder, "GPU": pipeline.gpus_per_scorer})
    prepare_pipeline()
    rows = (
        ray.data.from_arrow(blocks(pictures, size))
        .map_batches(
            cut_squares,
            fn_args=(read_card(Path(config.model)).preprocessing.squares(),),
            batch_format="pyarrow",
            num_cpus=pipeline.cpus_per_decoder,
        )
        .map_batches(
            ScoreWriter,
            fn_constructor_args=(config, parts.folder),
            compute=ray.data.ActorPoolStrategy(min_size=pipeline.min_scorers, max_size=pipeline.max_scorers),
            batch_size=size,
            batch_format="pyarrow",
            runtime_env=worker_environment(pipeline.num_threads, config.cluster.device),
            **scorer,
        )
    )
    return add_parts(rows.iter_rows(), parts, "Scoring", num_done=num_done, num_pending=pictures.num_rows)


def _write_manifest(run_dir: Path, config: BatchScoreConfig, job: JobRecord) -> None:
    """Add a job that came to its end to ``run.json``, beside what scored; a killed one leaves only its files."""
    file = run_dir / RUN_MANIFEST
    jobs = json.loads(file.read_text(encoding="utf-8"))["jobs"] if file.exists() else []
    manifest = {
        "version": f"ray_iqa {__version__}",
        "model": str(Path(config.model).absolute()),
        "precision": config.precision,
        "sources": config.images.sources,
        "pipeline": config.pipeline.model_dump(),
        "device": config.device,
        "jobs": [*jobs, asdict(job)],
    }
    write_text(file, json.dumps(manifest, indent=2) + "\n")


def cut_squares(pictures: pa.Table, cut: ImageCrop) -> pa.Table:
    """Add ``square``, what the tower looks at; a broken picture gets a ``reason`` instead."""
    found = [cut.square_or_reason(path) for path in pictures.column("image_path").to_pylist()]
    squares = [None if isinstance(each, str) else each.tobytes() for each in found]
    reasons = [each if isinstance(each, str) else None for each in found]
    pictures = pictures.append_column("square", pa.array(squares, pa.large_binary()))
    return pictures.append_column("reason", pa.array(reasons, pa.string()))


class ScoreWriter:
    """One scorer: scores a batch and writes its rows to a file, which the driver then adds."""

    def __init__(self, config: BatchScoreConfig, folder: Path) -> None:
        from ray_iqa.backends.profiling import TracedCall  # imports torch

        self._scorer = RaliScorer.load(config.model, config.device, config.precision)
        self._traced_call = TracedCall(config.pipeline.profile, number=3)
        self._folder = folder

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Squares -> one row about the file that their scores are in."""
        shape = self._scorer.artifact.encoder.preprocessing.shape
        squares = bytearray(b"".join(filter(None, batch.column("square").to_pylist())))  # torch wants them writable
        with self._traced_call():
            found = iter(self._scorer.score_centres(np.frombuffer(squares, np.uint8).reshape(-1, *shape)))
        scores = [
            next(found) if reason is None else Verdict(value=None, reason=reason)
            for reason in batch.column("reason").to_pylist()
        ]
        known = batch.select(["image_id", "image_path", "dataset", "mos"]).to_pylist()
        rows = [row | score_columns(score) for row, score in zip(known, scores, strict=True)]
        table = pa.Table.from_pylist(rows, schema=SCORE_SCHEMA)
        return pa.table(
            {
                "file": [write_hidden(self._folder, table)],
                "num_images": [len(scores)],
                "num_failed": [sum(score.status == "failed" for score in scores)],
            }
        )
