"""`ray-iqa fit-rali`: annotated pictures -> a light scorer, by Ray Train on one or many workers.

All workers share stage 1 with negatives of the whole batch; the first one fits stages 2 and 3 on the features that
all of them computed. A worker that dies takes the others along, and all go on from the last epoch's checkpoint.
"""

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import ray
import ray.data
import ray.train
import ray.train.torch

from actors.cluster.connection import connected, worker_environment
from actors.cluster.engine_start import engine_start
from actors.cluster.placement import require
from actors.exit_codes import SOME_FAILED
from ray_iqa.config.jobs.fit_rali import FitRaliConfig
from ray_iqa.errors import ConfigError, RayIqaError
from ray_iqa.rali.annotations.records import read_records, table_to_records
from ray_iqa.rali.fit.data import RecordedTexts, fit_images
from ray_iqa.runs.digests import files_digest, model_digest
from ray_iqa.runs.directory import RunDirectory
from ray_iqa.runs.preflight import check_pictures, output_folder
from ray_iqa.telemetry.json_lines import read_metrics

SCORER = "scorer"
"""Folder of the artifact in the run directory."""
_CPUS_OF_READER = 0.5  # of the tasks that read annotations, while the workers hold theirs


def fit_rali(config: FitRaliConfig) -> int:
    """Fit or resume; exit code 0, or 3 when a picture could not be read."""
    run_dir = output_folder(config.run_dir)
    files = annotation_files(config.annotations)
    _check(config, files)
    backbone = config.fit.backbone
    contents = {
        "annotations": files_digest([Path(file) for file in files]),
        "fit.backbone.name": model_digest(backbone.name),
        "fit.backbone.pretrained": model_digest(str(backbone.pretrained)),
    }
    with RunDirectory(run_dir, config, contents=contents), connected(config.cluster):
        figures = _train(config, files, run_dir)
    rows = read_metrics(run_dir / "metrics.jsonl")
    probes = [row["alignment/probe_srcc"] for row in rows if row.get("alignment/probe_srcc") is not None]
    if len(probes) > 1:
        sys.stdout.write(
            f"Linear probe of the tower: SRCC {probes[0]:.3f} before alignment, {max(probes[1:]):.3f} after; "
            f"kept: {'before' if probes[0] >= max(probes[1:]) else 'after'}\n"
        )
    provenance = json.loads((run_dir / SCORER / "rali.json").read_text(encoding="utf-8"))["provenance"]
    target = "the teacher's scores, not MOS" if config.fit.target == "teacher" else "MOS"
    sys.stdout.write(
        f"Held-out slice of the training images, {provenance['num_held_out']:,} of "
        f"{provenance['num_held_out_contents']:,} contents that the fit did not see, against {target}: "
        f"SRCC {figures['fit/srcc']:.3f}, PLCC {figures['fit/plcc']:.3f}, "
        f"MSE {figures['fit/mse']:.3f}\nScorer: {run_dir / SCORER}\nTensorBoard: tensorboard --logdir {run_dir}\n"
    )
    if failed := provenance["failed"]:
        sys.stdout.write(
            f"{len(failed):,} pictures could not be read and count nowhere, the first: {next(iter(failed.values()))}\n"
        )
    return SOME_FAILED if failed else 0


def _train(config: FitRaliConfig, files: list[str], run_dir: Path) -> dict[str, float]:
    on_gpu, workers = config.cluster.device == "cuda", config.workers
    per_worker = {"CPU": config.cluster.cpus_per_actor} | ({"GPU": 1.0} if on_gpu else {})
    needed = {name: amount * workers.num_workers for name, amount in per_worker.items()}
    require(needed | {"CPU": needed["CPU"] + _CPUS_OF_READER})
    context = ray.data.DataContext.get_current()
    context.use_datasource_v2 = False  # Ray 2.60's new reader starts 32 actors for the footers of however few files
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it warns of the line above
    trainer = _Trainer(
        _work,
        train_loop_config={"config": config.model_dump(mode="json"), "run_dir": str(run_dir)},
        datasets={"annotations": ray.data.read_parquet(files, num_cpus=_CPUS_OF_READER)},
        dataset_config=ray.train.DataConfig(datasets_to_split=[]),  # every worker knows all pictures and their texts
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers.num_workers, use_gpu=on_gpu, resources_per_worker=per_worker
        ),
        run_config=ray.train.RunConfig(
            name="checkpoints",
            storage_path=str(run_dir),
            failure_config=ray.train.FailureConfig(max_failures=workers.max_failures),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            worker_runtime_env=worker_environment(workers.num_threads, config.cluster.device),
            logging_config=ray.train.LoggingConfig(log_level="WARNING"),
        ),
    )
    try:
        figures: dict[str, float] | None = trainer.fit().return_value
    except ray.train.TrainingFailedError as error:
        raise _own(error) or error from error
    assert figures is not None, "the first worker returns them"
    return figures


class _Trainer(ray.train.torch.TorchTrainer):  # type: ignore[misc]  # Ray has no types here
    """Leaves Ctrl-C to the command; the handler of Ray 2.60 ends in exit code 0."""

    def _register_sigint_handler(self, controller: object) -> None:
        pass


def _work(job: dict[str, Any]) -> dict[str, float]:  # Any: JSON
    """What every worker runs; the first one's figures of the finished scorer."""
    with engine_start():
        from ray_iqa.rali.fit.alignment_run import Team
        from ray_iqa.rali.fit.stages import RaliFit
        from ray_iqa.rali.model.encoders import load_clip
        from ray_iqa.telemetry.curves import Curves

    config, run_dir = FitRaliConfig.model_validate(job["config"]), Path(job["run_dir"])
    context = ray.train.get_context()
    first = context.get_world_rank() == 0
    team = Team(rank=context.get_world_rank(), num_workers=context.get_world_size(), wrap=ray.train.torch.prepare_model)
    shard = ray.train.get_dataset_shard("annotations")
    records = table_to_records(pa.concat_tables(shard.iter_batches(batch_size=None, batch_format="pyarrow")))
    backbone, device = config.fit.backbone, str(ray.train.torch.get_device())
    clip = load_clip(backbone.name, backbone.pretrained, device=device)
    texts = RecordedTexts(records, clip.name) if config.fit.alignment.enabled else None
    fit = RaliFit(clip, fit_images(records, config.fit.target), config.fit, texts, team)
    epoch = 0
    if fit.alignment and (checkpoint := ray.train.get_checkpoint()) is not None:
        with checkpoint.as_directory() as folder:
            fit.alignment.restore(Path(folder))
        epoch = fit.alignment.num_done
    curves = Curves(run_dir, epoch) if first else None
    for epoch, figures in fit.epochs():
        if curves:
            curves.log(epoch, figures)
        with TemporaryDirectory() as folder:
            if first and fit.alignment:
                fit.alignment.save(Path(folder))
            ray.train.report(figures, checkpoint=ray.train.Checkpoint.from_directory(folder) if first else None)
    scorer = fit.finish()
    figures = {}
    if scorer and curves:
        scorer.save(run_dir / SCORER)
        figures = {f"fit/{name}": value for name, value in scorer.artifact.provenance["held_out"].items()}
        curves.log(epoch + 1, figures)
        curves.close()
    return figures


def annotation_files(names: Sequence[str]) -> list[str]:
    """Parquet files, and those below run directories of `ray-iqa annotate`."""
    files: list[str] = []
    for name in names:
        path = Path(name).absolute()
        found = [path] if path.is_file() else sorted((path / "records").glob("part-*.parquet"))
        if not found:
            raise ConfigError(
                f"annotations must name parquet files or run directories of `ray-iqa annotate`, found none at {path}"
            )
        files += [str(file) for file in found]
    return files


def _check(config: FitRaliConfig, files: list[str]) -> None:
    """Everything about the annotations that would stop every worker."""
    records = read_records(files)
    check_pictures(map(str, fit_images(records, config.fit.target).images))
    if config.fit.alignment.enabled:
        RecordedTexts(records, config.fit.backbone.name)


def _own(error: BaseException) -> RayIqaError | None:
    """Our own sentence inside Ray's report of failed workers."""
    for failure in getattr(error, "worker_failures", {}).values():
        cause = failure
        while cause is not None and not isinstance(cause, RayIqaError):
            cause = cause.__cause__
        if isinstance(cause, RayIqaError):
            return cause
    return None
