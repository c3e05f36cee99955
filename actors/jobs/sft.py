"""`ray-iqa sft`: a policy learns given answers about pictures, by the learner group of training."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from actors.cluster.stop_signal import STOPPED, StopRequest
from actors.training.learner import LearnerGroup, export_and_tell, is_complete, lone_learner
from ray_iqa.config.jobs.supervised import SftConfig, SupervisedConfig
from ray_iqa.config.policy import PromptConfig
from ray_iqa.data.images import load_image
from ray_iqa.data.lessons import Lesson, LessonPlan, read_chats
from ray_iqa.errors import ConfigError
from ray_iqa.grpo.idle_steps import IdleSteps, not_finite, ruins_discarded
from ray_iqa.runs.checkpoints import CheckpointStore
from ray_iqa.runs.digests import files_digest, model_digest
from ray_iqa.runs.directory import RunDirectory
from ray_iqa.runs.preflight import check_hub, check_model, check_pictures, output_folder
from ray_iqa.runs.remote_checkpoints import newest_step
from ray_iqa.telemetry.curves import Curves
from ray_iqa.telemetry.wandb_tracker import check_login
from ray_iqa.types import Progress

_KEEP_CHECKPOINTS = 2
Reading = tuple[Sequence[Lesson], Mapping[str, PromptConfig], Mapping[str, str]]
"""Lessons, their questions by name, and digests of what keys of the configuration name."""


def run(config: SftConfig, stop: StopRequest, *, change_learning: bool) -> int:
    """Fit or resume, export the policy; the exit code."""
    return learn(config, partial(_read, config), stop, change_learning=change_learning)


def learn(config: SupervisedConfig, read: Callable[[], Reading], stop: StopRequest, *, change_learning: bool) -> int:
    """Learn what ``read`` finds in the run directory, or go on there; the exit code."""
    run_dir = output_folder(config.run_dir)
    check_login(config.wandb)
    check_model(config.policy.model)
    check_hub(config.policy.model, config.policy.revision)
    lessons, questions, contents = read()
    # The run directory keeps the configuration as it was given; the questions come from files that it names.
    asked = config.model_copy(update={"policy": config.policy.model_copy(update={"questions": questions})})
    check_pictures([lesson.image_path for lesson in lessons], asked.policy)
    plan = _plan(asked, lessons)
    store = CheckpointStore(str(run_dir), _KEEP_CHECKPOINTS)
    policy, num_steps = store.place("policy"), config.schedule.epochs * plan.steps_per_epoch
    if problem := config.learner.too_long_warmup(num_steps):
        raise ConfigError(problem)
    known = {**contents, "policy.model": model_digest(config.policy.model, config.policy.revision)}
    find_step = partial(newest_step, store)
    with RunDirectory(run_dir, config, contents=known, find_step=find_step, change_learning=change_learning):
        if is_complete(store, num_steps, policy):
            return 0
        with lone_learner(asked, store, num_steps) as learner:
            if not export_and_tell(learner, policy, _fit(asked, plan, learner, run_dir, stop), num_steps):
                return STOPPED
    sys.stdout.write(f"Exported policy: {policy}\nTensorBoard: tensorboard --logdir {run_dir}\n")
    return 0


def _read(config: SftConfig) -> Reading:
    lessons, questions = read_chats(config.chats)
    return lessons, questions, {"chats": files_digest([Path(file) for file in config.chats])}


def _plan(config: SupervisedConfig, lessons: Sequence[Lesson]) -> LessonPlan:
    from ray_iqa.policy.inputs import PolicyInputs  # imports transformers

    inputs = PolicyInputs(config.policy)
    for lesson in lessons:
        for answer in lesson.answers:
            inputs.check_text(answer)

    def prompt_of(image_path: str, question: str | None) -> NDArray[np.int32]:
        return inputs.encode(load_image(image_path), question).token_ids.numpy().astype(np.int32)

    return LessonPlan(lessons, prompt_of, inputs.encode_answer, config.schedule.images_per_step, config.seed)


def _fit(
    config: SupervisedConfig, plan: LessonPlan, learner: LearnerGroup, run_dir: Path, stop: StopRequest
) -> Progress:
    """Learn to the end, or to a checkpoint after a stop was requested."""
    progress, idle = learner.restore(), IdleSteps()
    curves = Curves(run_dir, progress.step, config, config.wandb)
    num_steps = config.schedule.epochs * plan.steps_per_epoch
    columns = (TextColumn("Learning texts"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        ruins_discarded(learner, progress),
        Bars(*columns, TextColumn("{task.fields[loss]}"), console=Console(stderr=True)) as bars,
    ):
        bar = bars.add_task("", total=num_steps, completed=progress.step, loss="")
        for step in range(progress.step + 1, num_steps + 1):
            stop.in_hand = f"step {step}, then saving"
            update = learner.update(plan.batch_for(step))
            learned = update.policy_version > progress.policy_version
            progress.step, progress.policy_version = step, update.policy_version
            curves.log(step, update.metrics)
            bars.update(bar, advance=1, loss=f"cross-entropy {update.metrics.get('policy/cross_entropy', 0.0):.3f}")
            never_learned = step == num_steps and progress.policy_version == 0
            idle.note(step, None if learned else not_finite(progress.policy_version), never_learned=never_learned)
            if step % config.schedule.checkpoint_every == 0 or step == num_steps or stop.requested():
                learner.save(progress)
                if stop.requested():
                    break
    curves.close()
    return progress
