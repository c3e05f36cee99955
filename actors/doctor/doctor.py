"""`ray-iqa doctor`: a machine or a cluster against a training configuration, before anything is started."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import ray

from actors.cluster.connection import connected
from actors.cluster.placement import plan_layout, require, total
from actors.doctor.checks import (
    Check,
    check_disk,
    check_engine,
    check_gpus,
    check_host_memory,
    check_learner,
    check_object_store,
    check_paths,
    check_ports,
    check_storage,
    check_versions,
)
from actors.doctor.node_facts import NodeFacts, ask_nodes, unreachable_pairs, written_files
from ray_iqa.config.train import TrainConfig
from ray_iqa.data.remote import is_url
from ray_iqa.errors import RayIqaError, ResourceError
from ray_iqa.path_text import text_path
from ray_iqa.runs.memory import PolicySize
from ray_iqa.runs.preflight import Inputs, check_inputs


def run(config: TrainConfig) -> int:
    """Print one line per check; 1 when one failed."""
    failed = False
    for check in examine(config):
        sys.stdout.write(f"{check}\n")
        sys.stdout.flush()
        failed |= check.status == "fail"
    return 1 if failed else 0


def examine(config: TrainConfig) -> Iterator[Check]:
    """All checks; those of the cluster need one that answers."""
    inputs: Inputs | None = None
    try:
        inputs = check_inputs(config)
        found = f"manifests and pictures are complete, {len(inputs.validation):,} pictures for validation"
        yield Check("ok", "inputs", found)
    except RayIqaError as error:
        yield Check("fail", "inputs", str(error))
    try:
        with connected(config.cluster):
            yield from _examine_cluster(config, inputs)
    except ResourceError as error:
        yield Check("fail", "cluster", str(error))


def _examine_cluster(config: TrainConfig, inputs: Inputs | None) -> Iterator[Check]:
    yield _check_resources(config)
    run_dir, paths = Path(config.run_dir).absolute(), _paths(config, inputs)
    made = [folder for folder in (run_dir, *run_dir.parents) if not folder.exists()]
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        yield Check("fail", "storage", f"run_dir cannot be made: {error}; choose a folder on shared storage")
        return
    storage = config.schedule.checkpoint_uri or str(run_dir)
    try:
        nodes = ask_nodes(paths, storage)
        seen = len(written_files(storage))
    except RayIqaError as error:
        yield Check("fail", "nodes" if isinstance(error, ResourceError) else "storage", str(error))
        return
    finally:
        with suppress(RayIqaError):
            written_files(storage)  # of nodes that were late
        with suppress(OSError):  # a node was later still
            for folder in made:
                folder.rmdir()
    yield check_versions(nodes, config.cluster.device)
    yield check_storage(nodes, seen, storage)
    yield check_paths(nodes, paths)
    yield check_ports(unreachable_pairs(), nodes)
    if config.cluster.device == "cuda":
        yield check_gpus(nodes, config)
    yield from _check_memory(config, nodes)


def _check_resources(config: TrainConfig) -> Check:
    needed, registered = total(plan_layout(config).bundles), ray.cluster_resources()
    try:
        require(needed)
    except ResourceError as error:
        return Check("fail", "resources", str(error))
    amounts = ", ".join(f"{name} {amount:g} of {registered.get(name, 0.0):g}" for name, amount in needed.items())
    later = any(registered.get(name, 0.0) < amount for name, amount in needed.items())
    return Check(
        "warn" if later else "ok", "resources", amounts + (": the autoscaler has to add nodes" if later else "")
    )


def _check_memory(config: TrainConfig, nodes: Sequence[NodeFacts]) -> Iterator[Check]:
    from ray_iqa.policy.size import policy_size  # torch and transformers take seconds

    try:
        size: PolicySize = policy_size(config.policy, config.learner)
    except RayIqaError as error:
        yield Check("warn", "memory", f"{error}; download the model first, or run this where it is")
        return
    yield Check(
        "ok", "policy", f"{size.num_parameters / 1e6:,.1f} M parameters, {size.num_trained / 1e6:,.1f} M are trained"
    )
    if config.cluster.device == "cuda":
        nodes = [node for node in nodes if node.num_gpus] or nodes  # a head holds none of a run's memory
    yield check_object_store(nodes, size, config)
    yield check_host_memory(nodes, size, config)
    held = sum(path.lstat().st_size for path in Path(config.run_dir).rglob("*") if path.is_file())
    yield check_disk(nodes, size, config, held if config.schedule.checkpoint_uri is None else 0)
    if config.cluster.device == "cuda":
        gpus = [gpu for node in nodes for gpu in node.gpus]
        yield check_engine(min((gpu.total for gpu in gpus), default=None), size, config)
        yield check_learner(min((gpu.total - gpu.used for gpu in gpus), default=None), size, config)


def _paths(config: TrainConfig, inputs: Inputs | None) -> list[str]:
    """What every node must see: the model folder and a picture of each data set of validation; URLs apart."""
    folder = Path(config.policy.model)
    paths = [str(folder.absolute())] if folder.exists() else []
    local = [image for image in inputs.validation if not is_url(image.image_path)] if inputs is not None else []
    return paths + list({image.dataset: text_path(Path(image.image_path).absolute()) for image in local}.values())
