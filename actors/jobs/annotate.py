"""`ray-iqa annotate`: pictures -> reasoning texts of a policy -> text embeddings -> Parquet, streamed by Ray Data.

Decoding, engines and text towers are stages of their own, which grow and shrink apart. Between stages travel decoded
bytes, then rows. Ray Data's own checkpoint filters some kinds of sources only; here the driver knows from the files
that are there which pictures are done, and it alone gives new files their names.
"""

import os
import sys
from collections import Counter

import pyarrow as pa
import ray

from actors.cluster.connection import connected, worker_environment
from actors.cluster.placement import require
from actors.exit_codes import SOME_FAILED
from actors.jobs.annotation_stages import Reasoner, TextWriter, decode
from actors.jobs.parquet_job import add_parts, prepare_pipeline
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.jobs.annotate import AnnotateConfig
from ray_iqa.errors import ConfigError
from ray_iqa.rali.annotations.parquet_parts import PartFiles
from ray_iqa.rali.annotations.pictures import blocks, read_pictures, without
from ray_iqa.runs.digests import model_digest
from ray_iqa.runs.directory import RunDirectory
from ray_iqa.runs.preflight import check_hub, check_model, output_folder


def annotate(config: AnnotateConfig) -> int:
    """Annotate what is not annotated yet; exit code 0, or 3 when a row has no text."""
    run_dir = output_folder(config.run_dir)
    if not prompt_by_id(config.policy.prompt).asks_reasoning:
        raise ConfigError(f"policy.prompt must ask for reasoning, {config.policy.prompt!r} does not")
    check_model(config.policy.model)
    check_hub(config.policy.model, config.policy.revision)
    pictures = read_pictures(config.images)
    contents = {
        "policy.model": model_digest(config.policy.model, config.policy.revision),
        "backbone.name": model_digest(config.backbone.name),
        "backbone.pretrained": model_digest(str(config.backbone.pretrained)),
    }
    with RunDirectory(run_dir, config, contents=contents):
        parts = PartFiles(run_dir / "records")
        pending = without(pictures, parts.table(["dataset", "image_id"]))
        if pending.num_rows:
            with connected(config.cluster):
                _annotate(config, pending, parts, num_done=pictures.num_rows - pending.num_rows)
        return _summary(parts)


def _annotate(config: AnnotateConfig, pictures: pa.Table, parts: PartFiles, num_done: int) -> None:
    pipeline, on_gpu = config.pipeline, config.cluster.device == "cuda"
    engine = {
        "num_cpus": config.cluster.cpus_per_actor,
        "num_gpus": float(config.rollout.tensor_parallel_size) if on_gpu else 0.0,
    }
    encoder = {"num_cpus": 0.1 if pipeline.gpus_per_text_encoder else 0.5, "num_gpus": pipeline.gpus_per_text_encoder}
    require(
        {
            "CPU": sum(kind["num_cpus"] for kind in (engine, encoder)) + pipeline.cpus_per_decoder,
            "GPU": sum(kind["num_gpus"] for kind in (engine, encoder)),
        }
    )
    prepare_pipeline()
    rows = (
        ray.data.from_arrow(blocks(pictures, pipeline.batch_size))
        .map_batches(decode, batch_format="pyarrow", num_cpus=pipeline.cpus_per_decoder)
        .map_batches(
            Reasoner,
            fn_constructor_args=(config,),
            compute=ray.data.ActorPoolStrategy(
                min_size=config.rollout.min_workers, max_size=config.rollout.most_workers
            ),
            batch_size=pipeline.batch_size,
            batch_format="pyarrow",
            runtime_env=worker_environment(config.rollout.num_threads, config.cluster.device),
            **engine,
        )
        .map_batches(
            TextWriter,
            fn_constructor_args=(config, parts.folder),
            compute=ray.data.ActorPoolStrategy(
                min_size=pipeline.min_text_encoders, max_size=pipeline.max_text_encoders
            ),
            batch_format="pyarrow",
            **encoder,
        )
    )
    add_parts(rows.iter_rows(), parts, "Annotating", num_done=num_done, num_pending=pictures.num_rows)


def _summary(parts: PartFiles) -> int:
    table = parts.table(["status", "reason", "truncated"]).to_pydict()
    counts = Counter(table["status"])
    lines = [
        f"{parts.folder}: {len(table['status']):,} rows, {counts['failed']:,} failed, "
        f"{sum(map(bool, table['truncated'])):,} longer than the text tower reads"
    ]
    reasons = Counter(reason for reason in table["reason"] if reason)
    lines += [f"  {count:,} x {reason}" for reason, count in reasons.most_common(3)]
    sys.stdout.write(os.linesep.join(lines) + os.linesep)
    return SOME_FAILED if counts["failed"] else 0
