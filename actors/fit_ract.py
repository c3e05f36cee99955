"""`ray-iqa fit-ract`: a policy learns the reasoning texts of several data sets, by the learner group of training.

By default its vision tower alone is trained, as in the RALI paper.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from numpy.typing import NDArray
from ray.util.placement_group import remove_placement_group
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actors.fit_rali import annotation_files
from actors.learner import LearnerGroup, launch_ranks
from actors.placement import Layout, connect, reserve, worker_environment
from actors.stop_signal import STOPPED, stop_on_signal
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.checkpoints import CheckpointStore
from ray_iqa.config.fit_ract import FitRactConfig
from ray_iqa.config.load import load_config
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.data.images import load_image
from ray_iqa.errors import ConfigError
from ray_iqa.preflight import check_model, output_folder
from ray_iqa.rali.ract import LessonPlan, lessons
from ray_iqa.rali.records import table_to_records
from ray_iqa.run_directory import RunDirectory
from ray_iqa.telemetry.curves import Curves

_KEEP_CHECKPOINTS = 2


def run(config_path: str, overrides: Sequence[str]) -> int:
    """Fit or resume, export the policy; the exit code."""
    config = load_config(FitRactConfig, config_path, overrides)
    run_dir = output_folder(config.run_dir)
    prompt = prompt_by_id(config.policy.prompt)
    if not (prompt.asks_reasoning and prompt.answer_format == "tagged"):
        raise ConfigError(f"policy.prompt must ask for reasoning in tags, {config.policy.prompt!r} does not")
    check_model(config.policy.model)
    plan = _plan(config)
    with stop_on_signal() as stopped, _learner(config, plan, run_dir) as learner:
        if not _fit(config, plan, learner, run_dir, stopped):
            return STOPPED
        learner.export(run_dir / "policy")
    sys.stdout.write(f"Exported policy: {run_dir / 'policy'}\nTensorBoard: tensorboard --logdir {run_dir}\n")
    return 0


def _plan(config: FitRactConfig) -> LessonPlan:
    files = annotation_files(config.texts.annotations)
    records = table_to_records(pa.concat_tables([pq.ParquetFile(file).read() for file in files]))
    chosen = lessons(records, config.texts.scored_dataset, config.texts.texts_per_image)
    return LessonPlan(chosen, _PolicyEncoder(config.policy), config.schedule.images_per_step, config.seed)


class _PolicyEncoder:
    """See `ract.Encoder`."""

    def __init__(self, policy: PolicyConfig) -> None:
        from ray_iqa.policy.inputs import PolicyInputs  # imports transformers

        self._inputs = PolicyInputs(policy)

    def prompt(self, image_path: str) -> NDArray[np.int32]:
        return self._inputs.encode(load_image(image_path)).token_ids.numpy().astype(np.int32)

    def answer(self, text: str) -> NDArray[np.int32]:
        return self._inputs.encode_answer(text)


def _fit(
    config: FitRactConfig, plan: LessonPlan, learner: LearnerGroup, run_dir: Path, stopped: Callable[[], bool]
) -> bool:
    """Learn to the end; False if a stop was requested, after a checkpoint."""
    progress = learner.restore()
    curves = Curves(run_dir, progress.step)
    num_steps = config.schedule.epochs * plan.steps_per_epoch
    columns = (TextColumn("Learning texts"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[loss]}"), console=Console(stderr=True)) as bars:
        bar = bars.add_task("", total=num_steps, completed=progress.step, loss="")
        for step in range(progress.step + 1, num_steps + 1):
            update = learner.update(plan.batch_for(step))
            progress.step, progress.policy_version = step, update.policy_version
            curves.log(step, update.metrics)
            bars.update(bar, advance=1, loss=f"cross-entropy {update.metrics.get('policy/cross_entropy', 0.0):.3f}")
            stopping = stopped()
            if step % config.schedule.checkpoint_every == 0 or step == num_steps or stopping:
                learner.save(progress)
            if stopping:
                break
    curves.close()
    return not stopped()


@contextmanager
def _learner(config: FitRactConfig, plan: LessonPlan, run_dir: Path) -> Iterator[LearnerGroup]:
    """The learner group of a run whose directory is taken; stopped in the end."""
    with RunDirectory(run_dir, config):
        connect(config.cluster)
        layout = _layout(config)
        placed = reserve(layout, config.cluster)
        environment = worker_environment(config.learner.num_threads, config.cluster.device)
        ranks = launch_ranks(layout, placed, config.cluster.cpus_per_actor, environment)
        num_steps = config.schedule.epochs * plan.steps_per_epoch
        store = CheckpointStore(str(run_dir), _KEEP_CHECKPOINTS)
        learner = LearnerGroup(ranks, config.policy, config.learner, store, num_steps=num_steps, seed=config.seed)
        try:
            learner.wait_ready()
            yield learner
        finally:
            learner.close()
            remove_placement_group(placed)
            ray.shutdown()


def _layout(config: FitRactConfig) -> Layout:
    gpus = 1.0 if config.cluster.device == "cuda" else 0.0
    bundle = {"CPU": config.cluster.cpus_per_actor} | ({"GPU": gpus} if gpus else {})
    return Layout(
        bundles=(bundle,) * config.learner.num_ranks,
        rollout_bundles=(),
        learner_bundles=tuple(range(config.learner.num_ranks)),
        gpus_per_rollout=0.0,
        gpus_per_rank=gpus,
    )
