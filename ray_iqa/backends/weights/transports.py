"""NCCL and CUDA IPC for `weights.send`, on vLLM's wire formats.

CUDA IPC ran between a learner and an engine on one H200; NCCL, which needs two GPUs, did not run yet. The lifecycle
around both is tested with gloo on a CPU.
"""

import socket
from typing import Any

import torch
import torch.distributed as dist

from ray_iqa.backends.weights.send import Chunk

_NUM_BUFFERS = 2


class NcclTransport:
    """Broadcast from rank 0 of the learner to every GPU of every engine, packed into few large buffers."""

    def __init__(self, host: str, num_engines: int, gpus_per_engine: int, buffer_bytes: int) -> None:
        """``host`` is the address of this process that the engines can reach."""
        self._host, self._num_engines, self._gpus_per_engine = host, num_engines, gpus_per_engine
        self._buffer_bytes = buffer_bytes
        self._group: Any = None

    def rendezvous(self) -> list[dict[str, Any]]:
        """See `Transport.rendezvous`; the sender is NCCL rank 0, engine i starts at 1 + i * gpus_per_engine."""
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = probe.getsockname()[1]
        self._meeting = {
            "master_address": self._host,
            "master_port": port,
            "world_size": 1 + self._num_engines * self._gpus_per_engine,
        }
        packing = {
            "packed": True,
            "packed_buffer_size_bytes": self._buffer_bytes,
            "packed_num_buffers": _NUM_BUFFERS,
        }
        return [
            {**self._meeting, **packing, "rank_offset": 1 + engine * self._gpus_per_engine}
            for engine in range(self._num_engines)
        ]

    def open(self) -> None:
        """See `Transport.open`."""
        from vllm.distributed.weight_transfer.nccl_common import trainer_init

        self._group = trainer_init(self._meeting)

    def describe(self, chunk: Chunk) -> dict[str, Any]:
        """See `Transport.describe`; what still computes the chunk, as merging adapters does, is waited for."""
        torch.cuda.current_stream().synchronize()  # `send` runs on other streams
        return describe_parameters(chunk)

    def send(self, chunk: Chunk) -> None:
        """See `Transport.send`."""
        from vllm.distributed.weight_transfer.packed_tensor import packed_nccl_broadcast_producer

        packed_nccl_broadcast_producer(
            iterator=iter(chunk),
            group=self._group,
            src=0,
            post_iter_func=lambda parameter: parameter[1],
            buffer_size_bytes=self._buffer_bytes,
            num_buffers=_NUM_BUFFERS,
        )

    def settle(self) -> None:
        """See `Transport.settle`; the producer has drained its streams already."""

    def close(self) -> None:
        """See `Transport.close`."""
        if self._group is not None:
            self._group.destroy()
            self._group = None


class IpcTransport:
    """Hands over CUDA memory handles; each engine reads the memory of the learner rank on its own GPU."""

    def __init__(self, num_engines: int) -> None:
        self._num_engines = num_engines
        self._shared: list[torch.Tensor] = []  # a handle does not keep its memory alive

    def rendezvous(self) -> list[dict[str, Any]]:
        """See `Transport.rendezvous`; there is nobody to meet."""
        return [{"packed": False}] * self._num_engines

    def open(self) -> None:
        """See `Transport.open`."""

    def describe(self, chunk: Chunk) -> dict[str, Any]:
        """See `Transport.describe`; gathers the handles of all ranks, one per GPU."""
        from torch.multiprocessing.reductions import reduce_tensor

        gpu = str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)
        self._shared = [tensor.detach().contiguous() for _, tensor in chunk]
        handles = [{gpu: reduce_tensor(tensor)[1]} for tensor in self._shared]  # type: ignore[no-untyped-call]
        of_all_ranks: list[Any] = [handles]
        if dist.is_initialized():
            of_all_ranks = [None] * dist.get_world_size()
            dist.all_gather_object(of_all_ranks, handles)
        torch.cuda.synchronize()
        merged = [
            {name: handle for each in row for name, handle in each.items()} for row in zip(*of_all_ranks, strict=True)
        ]
        return {**describe_parameters(chunk), "ipc_handles": merged}

    def send(self, chunk: Chunk) -> None:
        """See `Transport.send`; the engines read by themselves."""

    def settle(self) -> None:
        """See `Transport.settle`."""
        if dist.is_initialized():
            dist.barrier()
        self._shared = []
        torch.cuda.ipc_collect()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """See `Transport.close`."""


def describe_parameters(chunk: Chunk) -> dict[str, Any]:
    """Names, dtypes and shapes as every weight transfer engine of vLLM spells them."""
    return {
        "names": [name for name, _ in chunk],
        "dtype_names": [str(tensor.dtype).removeprefix("torch.") for _, tensor in chunk],
        "shapes": [list(tensor.shape) for _, tensor in chunk],
    }
