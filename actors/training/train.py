"""Composition root of training: the only place that sees the whole configuration."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ray.util.placement_group import PlacementGroup

from actors.cluster.connection import connected, worker_environment
from actors.cluster.placement import (
    Layout,
    plan_layout,
    reserved,
    rollout_options,
    supply,
    total,
)
from actors.cluster.processes import Handle
from actors.cluster.stop_signal import STOPPED, StopRequest
from actors.cluster.timeline import write_timeline
from actors.training.dashboard_metrics import DashboardMetrics
from actors.training.elastic_rollouts import ElasticRollouts
from actors.training.fleet import Fleet
from actors.training.fleet_size import FleetSize
from actors.training.learner import Checkpoints, LearnerGroup, export_and_tell, is_complete, start_learner
from actors.training.reward import RemoteRewardScorer
from actors.training.rollout_pool import RolloutPool
from actors.training.rollout_worker import RolloutActor
from actors.training.weights import publisher
from ray_iqa.answers.parse import parse_by_question
from ray_iqa.config.train import ScheduleConfig, TrainConfig
from ray_iqa.errors import LearnerLostError, ResourceError
from ray_iqa.evaluation.validation import PolicyEvaluator
from ray_iqa.grpo.advantages import ADVANTAGES
from ray_iqa.grpo.rollouts import OnPolicyRollouts, PrefetchedRollouts
from ray_iqa.protocols import RolloutSource
from ray_iqa.runs.checkpoints import CheckpointStore
from ray_iqa.runs.directory import RunDirectory
from ray_iqa.runs.preflight import Inputs, check_inputs
from ray_iqa.runs.remote_checkpoints import RemoteCheckpointStore, newest_step
from ray_iqa.runs.remote_files import RemoteFolder, uri_below
from ray_iqa.seeds import derive_seed
from ray_iqa.telemetry.curves import Curves
from ray_iqa.telemetry.telemetry import Telemetry
from ray_iqa.telemetry.terminal import say
from ray_iqa.training import TrainingRun, train
from ray_iqa.types import LabelledImage, RolloutGroup, SamplingSpec

logger = logging.getLogger(__name__)
POLICY = "policy"
"""Folder beside the checkpoints with the policy of the last step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run whose actors are up."""

    training: TrainingRun
    pool: RolloutPool
    learner: LearnerGroup


def run(config: TrainConfig, stop: StopRequest, *, change_learning: bool) -> int:
    """`ray-iqa train`: start or resume, train, export the policy; the exit code."""
    inputs = check_inputs(config)
    policy = uri_below(config.schedule.checkpoint_uri or str(inputs.run_dir), POLICY)

    def train_and_export(opened: OpenRun) -> bool:
        progress = train(opened.training, config.schedule)
        return export_and_tell(opened.learner, policy, progress, config.schedule.num_steps)

    with take_directory(config, inputs, change_learning=change_learning) as store:
        if is_complete(store, config.schedule.num_steps, policy):
            return 0
        if not with_restarts(config, inputs, store, stop, train_and_export):
            return STOPPED
    sys.stdout.write(f"Exported policy: {policy}\nTensorBoard: tensorboard --logdir {inputs.run_dir}\n")
    return 0


@contextmanager
def take_directory(config: TrainConfig, inputs: Inputs, *, change_learning: bool) -> Iterator[Checkpoints]:
    """Hold the run directory for this process; yields the checkpoints that belong to it."""
    store = checkpoint_store(config.schedule, inputs.run_dir)
    find_step = partial(newest_step, store)
    with RunDirectory(
        inputs.run_dir, config, contents=inputs.contents, find_step=find_step, change_learning=change_learning
    ):
        yield store


def with_restarts(
    config: TrainConfig, inputs: Inputs, store: Checkpoints, stop: StopRequest, work: Callable[[OpenRun], bool]
) -> bool:
    """Open the run and do ``work``; a lost learner group is placed anew and the work done again, resuming.

    Everything is torn down first, so that the new learner group finds its resources before any rollout worker. After
    a loss, resources that the cluster does not have count as one more loss: a node may come back.

    Returns:
        what ``work`` returns; False too when a step that was to be the last is lost.

    Raises:
        LearnerLostError: after ``cluster.max_restarts`` restarts.
        ResourceError: the cluster cannot hold the run.
    """
    restarts = 0
    while True:
        stop.in_hand = ""
        try:
            with open_run(config, inputs, store, stop) as opened:
                return work(opened)
        except ResourceError as error:
            if stop.requested():
                say(f"{error}; the same command resumes from the last checkpoint")
                return False
            if restarts == 0 and not isinstance(error, LearnerLostError):
                raise
            if restarts == config.cluster.max_restarts:
                raise LearnerLostError(
                    f"{error}; gave up after {restarts} restarts, the same command resumes from the last checkpoint"
                ) from error
            wait_s = config.cluster.restart_backoff_s * 2**restarts
            logger.warning("%s; continuing from the last checkpoint in %.0f s", error, wait_s)
            time.sleep(wait_s)
            restarts += 1


@contextmanager
def open_run(config: TrainConfig, inputs: Inputs, store: Checkpoints, stop: StopRequest) -> Iterator[OpenRun]:
    """Start every actor of a run; they are stopped in reverse order, whatever happens inside."""
    with ExitStack() as stack:
        stack.enter_context(connected(config.cluster))
        if config.cluster.timeline:
            stack.callback(write_timeline, inputs.run_dir)
        layout = plan_layout(config)
        group = stack.enter_context(reserved(layout, config.cluster))
        workers, ranks = config.rollout.min_workers, config.learner.num_ranks
        say(f"starting rollout workers (vLLM): {workers}, learner ranks (DeepSpeed): {ranks}")

        pool = _start_pool(config, layout, group)
        stack.callback(pool.close)
        if config.cluster.placement == "colocated":
            pool.wait_ready()  # an engine takes what others allocate on its GPU while it starts for its own
        learner = start_learner(config, layout, group, store, config.schedule.num_steps)
        stack.callback(learner.close)
        scorer = RemoteRewardScorer(config.reward, inputs.prompts, inputs.label_ranges)
        stack.callback(scorer.close)
        pool.wait_ready()
        learner.wait_ready()

        rollouts = _rollout_source(config, inputs, pool, stack)
        read_answer = partial(parse_by_question, prompts=inputs.prompts, style=config.reward.parser)
        curves = partial(Curves, inputs.run_dir, config=config, wandb=config.wandb)
        telemetry = Telemetry(curves, inputs.run_dir, config.schedule, read_answer)
        stack.callback(telemetry.close)
        yield OpenRun(
            training=TrainingRun(
                rollouts=rollouts,
                reward_scorer=scorer,
                advantages=ADVANTAGES[config.learner.loss],
                redraw=partial(_redraw, config, pool),
                max_redraws=config.learner.max_redraws,
                learner=learner,
                weights=publisher(learner, pool, config.weights),
                evaluator=PolicyEvaluator(
                    pool,
                    inputs.validation,
                    # The same draw every time: the curve shows the policy.
                    config.rollout.sampling_spec(
                        derive_seed(config.seed, "validation"), config.evaluation.num_completions
                    ),
                    inputs.prompts[None],
                    config.reward.parser,
                ),
                metrics=DashboardMetrics(telemetry, inputs.run_dir),
                read_answer=read_answer,
                rollout_metrics=pool.metrics,
                stop=stop,
            ),
            pool=pool,
            learner=learner,
        )


def _start_pool(config: TrainConfig, layout: Layout, group: PlacementGroup) -> RolloutPool:
    environment = worker_environment(config.rollout.num_threads, config.cluster.device)

    def launch(slot: int) -> Handle:
        return RolloutActor.options(runtime_env=environment, **rollout_options(config, layout, group, slot)).remote(
            config.policy, config.rollout, config.weights, config.weights.adapters_alone(config.learner.lora)
        )

    needs = partial(supply, total(layout.bundles))
    return RolloutPool(Fleet(launch, config.rollout, config.weights, config.cluster.wait_s, needs))


def checkpoint_store(schedule: ScheduleConfig, run_dir: Path) -> Checkpoints:
    """Where a run keeps its checkpoints.

    Raises:
        ConfigError: it is a URI that cannot be written.
    """
    if schedule.checkpoint_uri is None:
        return CheckpointStore(str(run_dir), schedule.keep_checkpoints)
    remote = RemoteFolder(schedule.checkpoint_uri)
    remote.require_writable()  # not only when the first checkpoint is due
    return RemoteCheckpointStore(remote, schedule.keep_checkpoints, run_dir)


def _redraw(
    config: TrainConfig, pool: RolloutPool, images: Sequence[LabelledImage], step: int, attempt: int
) -> list[RolloutGroup]:
    seed = derive_seed(config.seed, "redraw", step, attempt)
    return pool.sample(images, config.rollout.sampling_spec(seed))


def _rollout_source(config: TrainConfig, inputs: Inputs, pool: RolloutPool, stack: ExitStack) -> RolloutSource:
    def spec(step: int) -> SamplingSpec:
        return config.rollout.sampling_spec(derive_seed(config.seed, "step", step))

    source: RolloutSource
    source = on_policy = OnPolicyRollouts(pool, inputs.batches, spec)
    ahead = config.rollout.max_staleness == 1
    if ahead:
        source = PrefetchedRollouts(
            on_policy, config.schedule.num_steps, config.schedule.checkpoint_every, pool.weights_fixed
        )
        stack.callback(source.close)
    fewest, most = config.rollout.min_workers, config.rollout.most_workers
    return source if most == fewest else ElasticRollouts(source, pool, FleetSize(fewest, most, overlapped=ahead))
