"""A gloo engine for vLLM's weight transfer and the sender's side of it, so that the lifecycle runs on a CPU."""

import socket
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.distributed as dist
from vllm.distributed.utils import stateless_init_torch_distributed_process_group
from vllm.distributed.weight_transfer import WeightTransferEngineFactory
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)
from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload

from ray_iqa.backends.weights.send import Chunk
from ray_iqa.backends.weights.transports import describe_parameters


@dataclass
class GlooInitInfo(WeightTransferInitInfo):
    host: str
    port: int
    rank: int
    world_size: int


@dataclass
class GlooUpdateInfo(WeightTransferUpdateInfo):
    names: list[str]
    dtype_names: list[str]
    shapes: list[list[int]]


class GlooEngine(WeightTransferEngine[GlooInitInfo, GlooUpdateInfo]):
    init_info_cls = GlooInitInfo
    update_info_cls = GlooUpdateInfo
    breaks_at: ClassVar[str] = "nothing"
    """The chunk with this parameter fails once, after half of it was loaded."""
    group: dist.ProcessGroup | None = None

    def init_transfer_engine(self, init_info: GlooInitInfo) -> None:
        self.group = join(init_info.host, init_info.port, init_info.rank, init_info.world_size)

    def start_weight_update(self) -> None:
        initialize_layerwise_reload(self.model)

    def finish_weight_update(self) -> None:
        finalize_layerwise_reload(self.model, self.model_config)

    def receive_weights(self, update_info: GlooUpdateInfo) -> None:
        for name, dtype, shape in zip(update_info.names, update_info.dtype_names, update_info.shapes, strict=True):
            if name == GlooEngine.breaks_at:
                GlooEngine.breaks_at = "nothing"
                raise RuntimeError("the cable was pulled")
            weight = torch.empty(shape, dtype=getattr(torch, dtype))
            broadcast(self.group, weight)
            self.model.load_weights([(name, weight)])

    def shutdown(self) -> None:
        self.group = None


class GlooTransport:
    """`ray_iqa.backends.weights.send.Transport` for samplers of one worker each."""

    def __init__(self, num_engines: int) -> None:
        self.num_engines = num_engines
        self.ports: list[int] = []

    def rendezvous(self) -> list[dict[str, Any]]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.ports.append(probe.getsockname()[1])
        meeting = {"host": "127.0.0.1", "port": self.ports[-1], "world_size": 1 + self.num_engines}
        return [{**meeting, "rank": 1 + engine} for engine in range(self.num_engines)]

    def open(self) -> None:
        self.group = join("127.0.0.1", self.ports[-1], 0, 1 + self.num_engines)

    def describe(self, chunk: Chunk) -> dict[str, Any]:
        return describe_parameters(chunk)

    def send(self, chunk: Chunk) -> None:
        for _, tensor in chunk:
            broadcast(self.group, tensor.detach().contiguous())

    def settle(self) -> None:
        pass

    def close(self) -> None:
        self.group = None


def join(host: str, port: int, rank: int, world_size: int) -> dist.ProcessGroup:
    return stateless_init_torch_distributed_process_group(host, port, rank, world_size, "gloo")


def broadcast(group: dist.ProcessGroup, tensor: torch.Tensor) -> None:
    options = dist.BroadcastOptions()
    options.rootRank, options.rootTensor = 0, 0
    group.broadcast([tensor], options).wait()


WeightTransferEngineFactory.register_engine("gloo", GlooEngine)
