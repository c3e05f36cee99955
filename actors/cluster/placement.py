"""Reserves the resources of a run on its Ray cluster, visibly and with a deadline."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from actors.cluster.autoscaler import autoscaler_activity, has_autoscaler, is_beyond_limits
from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import ResourceError

logger = logging.getLogger(__name__)
Bundle = dict[str, float]
POLL_S = 5.0
REFUSALS = 3
"""So often in a row the autoscaler must report that it cannot place a run: a node may just be going away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which bundle of the placement group each actor takes."""

    bundles: tuple[Bundle, ...]
    rollout_bundles: tuple[int, ...]  # one index per rollout worker
    learner_bundles: tuple[int, ...]  # one index per learner rank
    gpus_per_rollout: float
    gpus_per_rank: float


def plan_layout(config: TrainConfig) -> Layout:
    """Bundle arithmetic of a run; pure.

    ``separate``: a bundle per rollout worker (``tensor_parallel_size`` GPUs) and one per learner rank
    (one GPU). ``per_node``: bundles, each on one node, of a worker with its share of the ranks, or the other way round.
    ``colocated``: worker i and rank i share bundle i and its GPU, half each for Ray's books.
    """
    workers, ranks = config.rollout.min_workers, config.learner.num_ranks
    tensor_parallel, cpus = config.rollout.tensor_parallel_size, config.cluster.cpus_per_actor
    on_gpu = config.cluster.device == "cuda"
    if config.cluster.placement == "colocated":
        shared: Bundle = {"CPU": 2 * cpus} | ({"GPU": 1.0} if on_gpu else {})
        return Layout(
            bundles=(shared,) * max(workers, ranks),
            rollout_bundles=tuple(range(workers)),
            learner_bundles=tuple(range(ranks)),
            gpus_per_rollout=0.5 if on_gpu else 0.0,
            gpus_per_rank=0.5 if on_gpu else 0.0,
        )
    rollout: Bundle = {"CPU": cpus} | ({"GPU": float(tensor_parallel)} if on_gpu else {})
    learner: Bundle = {"CPU": cpus} | ({"GPU": 1.0} if on_gpu else {})
    bundles = (rollout,) * workers + (learner,) * ranks
    rollout_bundles, learner_bundles = tuple(range(workers)), tuple(range(workers, workers + ranks))
    if config.cluster.placement == "per_node":
        shared_by = min(workers, ranks)  # the larger number is a multiple of it
        bundles = (total((rollout,) * (workers // shared_by) + (learner,) * (ranks // shared_by)),) * shared_by
        rollout_bundles = tuple(worker % shared_by for worker in range(workers))
        learner_bundles = tuple(rank % shared_by for rank in range(ranks))
    return Layout(
        bundles=bundles,
        rollout_bundles=rollout_bundles,
        learner_bundles=learner_bundles,
        gpus_per_rollout=float(tensor_parallel) if on_gpu else 0.0,
        gpus_per_rank=1.0 if on_gpu else 0.0,
    )


def learner_layout(num_ranks: int, cluster: ClusterConfig) -> Layout:
    """As `plan_layout`, for a job without rollout workers: a bundle per learner rank."""
    gpus = 1.0 if cluster.device == "cuda" else 0.0
    bundle = {"CPU": cluster.cpus_per_actor} | ({"GPU": gpus} if gpus else {})
    return Layout(
        bundles=(bundle,) * num_ranks,
        rollout_bundles=(),
        learner_bundles=tuple(range(num_ranks)),
        gpus_per_rollout=0.0,
        gpus_per_rank=gpus,
    )


def rollout_options(config: TrainConfig, layout: Layout, group: PlacementGroup, slot: int) -> dict[str, Any]:
    """Ray's options for the rollout worker of a slot: on its bundle, or, above ``min_workers``, wherever there is room.

    A worker without a bundle asks for resources by itself, which is what an autoscaler answers, and has its GPUs alone.
    """
    if slot < config.rollout.min_workers:
        return {
            "num_cpus": config.cluster.cpus_per_actor,
            "num_gpus": layout.gpus_per_rollout,
            "scheduling_strategy": on_bundle(group, layout.rollout_bundles[slot]),
        }
    gpus = config.rollout.tensor_parallel_size if config.cluster.device == "cuda" else 0
    return {"num_cpus": config.cluster.cpus_per_actor, "num_gpus": gpus}


def total(bundles: tuple[Bundle, ...]) -> Bundle:
    """Sum of all bundles per resource."""
    sums: Bundle = {}
    for bundle in bundles:
        for name, amount in bundle.items():
            sums[name] = sums.get(name, 0.0) + amount
    return sums


@contextmanager
def reserved(layout: Layout, cluster: ClusterConfig) -> Iterator[PlacementGroup]:
    """Reserve all bundles while the block runs, or say what is missing.

    Raises:
        ResourceError: at once when nothing can bring the missing resources, in seconds when the autoscaler reports
            that it cannot, otherwise after ``cluster.wait_s``; needed and registered amounts are in the message.
    """
    needed = total(layout.bundles)
    require(needed)
    _require_nodes(layout.bundles)
    if missing := _missing(needed, ray.cluster_resources()):
        logger.warning("%s; waiting up to %.0f s for the autoscaler", missing, cluster.wait_s)
    group = placement_group(list(layout.bundles), strategy="PACK")
    try:
        _await(group, layout.bundles, cluster.wait_s)
        yield group
    finally:
        remove_placement_group(group)


def _await(group: PlacementGroup, bundles: tuple[Bundle, ...], wait_s: float) -> None:
    needed = total(bundles)
    deadline = time.monotonic() + wait_s
    refusals = 0
    while not group.wait(timeout_seconds=POLL_S):
        state = supply(needed)
        refusals = refusals + 1 if _nobody_works(needed) and is_beyond_limits(group.id.hex()) else 0
        if refusals == REFUSALS:
            raise ResourceError(_beyond_limits(bundles))
        if time.monotonic() > deadline:
            raise ResourceError(f"resources did not arrive within cluster.wait_s = {wait_s:.0f} s: {state}")
        logger.warning("waiting for resources: %s", state)


def require(needed: Bundle) -> None:
    """Check that the cluster has these resources or can get them.

    Raises:
        ResourceError: needed and registered amounts are in the message.
    """
    if (missing := _missing(needed, ray.cluster_resources())) and not has_autoscaler():
        raise ResourceError(f"{missing}, and no autoscaler can add them; lower the config or start more nodes")


def _require_nodes(bundles: tuple[Bundle, ...]) -> None:
    """Each bundle must fit on one node, whatever the whole cluster has."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for bundle in bundles:
        if all(_missing(bundle, node) for node in nodes) and not has_autoscaler():
            asked = ", ".join(f"{amount:g} {name}" for name, amount in bundle.items())
            largest = ", ".join(f"{max(node.get(name, 0.0) for node in nodes):g} {name}" for name in bundle)
            raise ResourceError(
                f"one actor needs {asked} on one node, the nodes of this cluster have at most {largest}, "
                "and no autoscaler can add larger ones; lower the config or start larger nodes"
            )


def _nobody_works(needed: Bundle) -> bool:
    """Whether all of the needed kinds is free; else the autoscaler may find room when others end."""
    registered, free = ray.cluster_resources(), ray.available_resources()
    return all(free.get(name, 0.0) == registered.get(name, 0.0) for name in needed)


def _beyond_limits(bundles: tuple[Bundle, ...]) -> str:
    registered = ray.cluster_resources()
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    amounts = "; ".join(
        f"the run needs {amount:g} {name} ({max(bundle.get(name, 0.0) for bundle in bundles):g} on one node), the "
        f"cluster has {registered.get(name, 0.0):g} ({max(node.get(name, 0.0) for node in nodes):g} on one node)"
        for name, amount in total(bundles).items()
    )
    return (
        f"{amounts}; its autoscaler reports that all nodes it may start would not do: "
        "lower the config, or raise max_workers or the size of nodes in the cluster's file"
    )


def supply(needed: Bundle) -> str:
    """Needed, registered and free amounts of each resource, and what the autoscaler is doing."""
    registered, free = ray.cluster_resources(), ray.available_resources()
    amounts = ", ".join(
        f"{name}: needed {amount:g} / registered {registered.get(name, 0.0):g} / free {free.get(name, 0.0):g}"
        for name, amount in needed.items()
    )
    return f"{amounts}; {autoscaler_activity()}"


def on_bundle(group: PlacementGroup, index: int) -> PlacementGroupSchedulingStrategy:
    """Schedule an actor, and what it starts, on one bundle."""
    return PlacementGroupSchedulingStrategy(
        placement_group=group, placement_group_bundle_index=index, placement_group_capture_child_tasks=True
    )


def _missing(needed: Bundle, registered: Bundle) -> str:
    short = {name: amount for name, amount in needed.items() if registered.get(name, 0.0) < amount}
    return "; ".join(
        f"the run needs {amount:g} {name}, the cluster has {registered.get(name, 0.0):g}"
        for name, amount in short.items()
    )
