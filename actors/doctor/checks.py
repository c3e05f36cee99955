"""What `ray-iqa doctor` makes of the facts: one sentence per check, with what to do where something is wrong."""

import importlib.metadata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from packaging.requirements import Requirement

from actors.doctor.node_facts import NodeFacts
from ray_iqa.config.train import TrainConfig
from ray_iqa.runs.memory import CONTEXT, GIB, PolicySize, bytes_per_weight, engine_memory, learner_memory

SLEEPING_ENGINE = 2 * GIB
"""What vLLM keeps of a GPU while it sleeps; an assumption."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    status: Literal["ok", "warn", "fail"]
    name: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.status:<4}  {self.name:<12}  {self.sentence}"


def check_versions(nodes: Sequence[NodeFacts]) -> Check:
    """The packages of extra ``train`` are there, in its ranges, and the same on all nodes."""
    first = nodes[0]
    for node in nodes[1:]:
        differing = [
            f"{name} {node.versions.get(name, 'missing')} on {node.host}, "
            f"{first.versions.get(name, 'missing')} on {first.host}"
            for name in sorted(first.versions.keys() | node.versions.keys())
            if node.versions.get(name) != first.versions.get(name)
        ]
        if differing:
            return Check("fail", "versions", f"all nodes need the same, found {'; '.join(differing)}: use one image")
    wrong = list(_outside_ranges(first.versions))
    if wrong:
        return Check("fail", "versions", f"{', '.join(wrong)}: install '.[train]' or use the full image")
    return Check("ok", "versions", ", ".join(f"{name} {version}" for name, version in first.versions.items()))


def _outside_ranges(versions: dict[str, str]) -> Iterator[str]:
    for text in importlib.metadata.requires("ray-iqa") or []:
        needed = Requirement(text)
        if not needed.marker or not needed.marker.evaluate({"extra": "train"}) or needed.marker.evaluate({"extra": ""}):
            continue
        if needed.name in ("ray", "torch", "transformers", "vllm", "deepspeed"):
            found = versions.get(needed.name, "missing")
            if found == "missing" or not needed.specifier.contains(found, prereleases=True):
                yield f"{needed.name} must be {needed.specifier}, found {found}"


def check_paths(nodes: Sequence[NodeFacts], paths: Sequence[str]) -> Check:
    """Model folder and pictures are there on every node."""
    if not paths:
        return Check("warn", "data", "not looked for: the inputs must be complete first, or the model a local folder")
    missing = [f"{node.host} has no {path}" for node in nodes for path in node.missing]
    if missing:
        return Check("fail", "data", f"{'; '.join(missing[:3])}: mount the same file system everywhere")
    return Check("ok", "data", f"{len(paths)} paths (model, a picture of each manifest) exist on {_nodes(nodes)}")


def check_storage(nodes: Sequence[NodeFacts], seen: int, storage: str) -> Check:
    """Every node wrote to where checkpoints go, a folder or URI, and this machine sees all of it."""
    unable = [node.host for node in nodes if not node.wrote]
    if unable:
        todo = "look at the rights of the nodes" if "://" in storage else "put run_dir on shared storage"
        return Check("fail", "storage", f"{', '.join(unable)} cannot write to {storage}: {todo}")
    if seen < len(nodes):
        found = f"{len(nodes)} nodes wrote to {storage}, the driver sees {seen} files"
        return Check("fail", "storage", f"{found}: run_dir must be on shared storage")
    return Check("ok", "storage", f"{storage} is written by {_nodes(nodes)} and read by the driver")


def check_ports(unreachable: Sequence[tuple[str, str]], nodes: Sequence[NodeFacts]) -> Check:
    """Fresh ports can be reached from node to node."""
    if len(nodes) == 1:
        return Check("ok", "ports", "1 node, which has no other to reach")
    if unreachable:
        pairs = ", ".join(f"{there} from {here}" for here, there in unreachable)
        return Check("fail", "ports", f"cannot reach {pairs}: nodes must reach each other on all TCP ports")
    return Check("ok", "ports", f"a fresh TCP port of each of {len(nodes)} nodes can be reached from another")


def check_object_store(nodes: Sequence[NodeFacts], size: PolicySize, config: TrainConfig) -> Check:
    """Ray's object store holds the newest weights beside those that are being replaced."""
    needed = 2 * bytes_per_weight(config.policy) * size.num_parameters
    if config.weights.type != "object_store":
        return Check("ok", "object store", f"weights travel by {config.weights.type}")
    small = [f"{node.host} {node.object_store / GIB:.1f} GiB" for node in nodes if node.object_store < needed]
    what = f"two snapshots of the weights take {needed / GIB:.1f} GiB"
    if small:
        return Check("warn", "object store", f"{what}, found {', '.join(small)}: Ray will spill to disk; enlarge shm")
    return Check("ok", "object store", f"{what} of {min(node.object_store for node in nodes) / GIB:.1f} GiB")


def check_engine(gpu: int | None, size: PolicySize, config: TrainConfig) -> Check:
    """Weights and at least one whole sequence fit the engine's share of a GPU of ``gpu`` bytes (None: not known)."""
    rollout = config.rollout
    engine = engine_memory(size, config.policy, rollout)
    weights = f"weights {engine.weights / GIB:.1f} GiB, KV cache {engine.kv_per_token / 2**10:.0f} KiB per token"
    if gpu is None:
        return Check("warn", "engine", f"{weights}; no GPU is registered to compare with")
    tokens = engine.kv_tokens(rollout.gpu_memory_utilization, gpu)
    holds = f"{weights}; {rollout.gpu_memory_utilization:.0%} of {gpu / GIB:.0f} GiB leave {max(0, tokens):,} tokens"
    share = engine.least_share(rollout.max_model_len, gpu)
    if tokens < rollout.max_model_len:
        todo = (
            f"set rollout.gpu_memory_utilization to {share:.2f} or more" if share <= 0.95 else "use larger GPUs"
        ) + ", or raise rollout.tensor_parallel_size"
        return Check("fail", "engine", f"{holds}, fewer than rollout.max_model_len {rollout.max_model_len:,}: {todo}")
    return Check("ok", "engine", f"{holds}, {tokens // rollout.max_model_len} sequences of {rollout.max_model_len:,}")


def check_learner(gpu: int | None, size: PolicySize, config: TrainConfig) -> Check:
    """One rank's peak, beside an engine where both share the GPU of ``gpu`` bytes (None: not known)."""
    learner = learner_memory(size, config.policy, config.learner)
    parts = ", ".join(
        f"{name} {getattr(learner, name) / GIB:.1f}"
        for name in ("weights", "reference", "gradients", "optimizer", "buckets", "activations")
    )
    needed = learner.peak + CONTEXT
    if config.cluster.placement == "colocated" and gpu is not None:
        engine = int(config.rollout.gpu_memory_utilization * gpu)
        beside = SLEEPING_ENGINE if config.rollout.sleep_when_idle else engine
        needed = max(needed + beside, learner.resident + CONTEXT + engine)
    text = f"{needed / GIB:.1f} GiB per rank at the peak (GiB: {parts})"
    if gpu is None:
        return Check("warn", "learner", f"{text}; no GPU is registered to compare with")
    if needed > gpu:
        todo = "raise learner.num_ranks, set learner.offload_optimizer or learner.lora, or shorten micro-batches"
        return Check("fail", "learner", f"{text}, the smallest GPU has {gpu / GIB:.0f} GiB: {todo}")
    return Check("ok" if needed < 0.9 * gpu else "warn", "learner", f"{text} of {gpu / GIB:.0f} GiB")


def check_host_memory(nodes: Sequence[NodeFacts], size: PolicySize, config: TrainConfig) -> Check:
    """Host memory of all nodes together: everything on a CPU, what is offloaded with GPUs."""
    learner = learner_memory(size, config.policy, config.learner)
    needed = learner.offloaded * config.learner.num_ranks
    if config.cluster.device == "cpu":
        engine = engine_memory(size, config.policy, config.rollout).weights + int(config.rollout.kv_cache_gib * GIB)
        # A process with torch and an engine in it takes more than its tensors: about CONTEXT.
        needed += config.learner.num_ranks * (learner.peak + CONTEXT) + config.rollout.min_workers * (engine + CONTEXT)
    have = sum(node.memory for node in nodes)
    text = f"{needed / GIB:.1f} GiB of {have / GIB:.1f} GiB on {_nodes(nodes)}"
    if needed > have:
        return Check("fail", "host memory", f"the run needs {text}: offload less or add nodes")
    return Check("ok", "host memory", text)


def _nodes(nodes: Sequence[NodeFacts]) -> str:
    return "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"
