"""The policy's parameters by their transformers names, gathered in pieces, adapters merged or beside their base."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import deepspeed
import numpy as np
import torch
from numpy.typing import NDArray
from peft.tuners.lora import LoraLayer
from torch.nn import Parameter

from ray_iqa.backends.weights.manifest import merged
from ray_iqa.policy.logprobs import TokenLogprobs
from ray_iqa.types import TensorSpec

_FACTOR = re.compile(r"\.(lora_[AB])\.\w+\.weight$")  # as peft spells it, the adapter's name in the middle


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedWeight:
    """One parameter of the plain model, or one factor of an adapter."""

    name: str  # as `named_parameters` of the transformers model spells it
    shape: tuple[int, ...]
    dtype: torch.dtype
    sources: tuple[Parameter, ...]  # must be gathered before ``value`` is called
    value: Callable[[], torch.Tensor]

    @property
    def num_bytes(self) -> int:
        """Of the value."""
        return math.prod(self.shape) * self.dtype.itemsize


def named_weights(scorer: TokenLogprobs) -> list[NamedWeight]:
    """Every parameter once; tied ones under their first name, adapters merged into what they adapt."""
    adapted = {
        f"{name}.weight": layer for name, layer in scorer.transformer.named_modules() if isinstance(layer, LoraLayer)
    }
    weights = []
    for weight in base_weights(scorer):
        layer = adapted.get(weight.name)
        if layer is not None:
            weight = replace(weight, sources=tuple(layer.parameters()), value=partial(_merged, layer))
        weights.append(weight)
    return weights


def base_weights(scorer: TokenLogprobs) -> list[NamedWeight]:
    """Every parameter of the plain model as it is without its adapters."""
    return [
        _as_it_is(name.replace(".base_layer.", "."), parameter)
        for name, parameter in scorer.transformer.named_parameters()
        if ".lora_" not in name
    ]


def adapter_weights(scorer: TokenLogprobs) -> list[NamedWeight]:
    """The factors of every adapter, as ``<name of the weight>.lora_A`` and ``.lora_B``."""
    return [
        _as_it_is(_FACTOR.sub(r".weight.\1", name), parameter)
        for name, parameter in scorer.transformer.named_parameters()
        if ".lora_" in name
    ]


def gathered(
    weights: Sequence[NamedWeight], chunk_bytes: int, *, is_sharded: bool
) -> Iterator[list[tuple[NamedWeight, torch.Tensor]]]:
    """The weights with their whole values, in pieces; a piece is valid until the next one is asked for.

    A piece has at most ``chunk_bytes``, or is one larger weight. With ZeRO-3 every rank must iterate to the end.
    """
    for chunk in _chunks(weights, chunk_bytes):
        sources = [parameter for weight in chunk for parameter in weight.sources]
        with deepspeed.zero.GatheredParameters(sources, enabled=is_sharded), torch.no_grad():
            values = [(weight, weight.value()) for weight in chunk]
            for weight, value in values:
                assert tuple(value.shape) == weight.shape, f"{weight.name}: {tuple(value.shape)} != {weight.shape}"
            yield values


def manifest_of(weights: Sequence[NamedWeight]) -> tuple[TensorSpec, ...]:
    """Name, shape and dtype of each weight."""
    return tuple(
        TensorSpec(name=weight.name, shape=weight.shape, dtype=str(weight.dtype).removeprefix("torch."))
        for weight in weights
    )


def host_bytes(value: torch.Tensor, *, lasting: bool) -> NDArray[np.uint8]:
    """The bytes of ``value`` in host memory; a ``lasting`` value that lies there already is not copied."""
    flat = value.detach().contiguous().reshape(-1).view(torch.uint8)
    if flat.device.type == "cpu":
        return (flat if lasting else flat.clone()).numpy()
    # A GPU writes into pinned memory at the speed of the bus, and torch keeps it for the next snapshot.
    pinned = torch.empty(flat.shape, dtype=torch.uint8, pin_memory=True)
    return pinned.copy_(flat).numpy()


def _as_it_is(name: str, parameter: Parameter) -> NamedWeight:
    shape = tuple(getattr(parameter, "ds_shape", parameter.shape))
    return NamedWeight(
        name=name, shape=shape, dtype=parameter.dtype, sources=(parameter,), value=partial(_plain, parameter)
    )


def _plain(parameter: Parameter) -> torch.Tensor:
    return parameter.detach()


def _merged(layer: LoraLayer) -> torch.Tensor:
    [adapter] = layer.active_adapters
    down, up = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
    return merged(layer.get_base_layer().weight, down, up, layer.scaling[adapter])


def _chunks(weights: Sequence[NamedWeight], chunk_bytes: int) -> Iterator[list[NamedWeight]]:
    chunk: list[NamedWeight] = []
    size = 0
    for weight in weights:
        if chunk and size + weight.num_bytes > chunk_bytes:
            yield chunk
            chunk, size = [], 0
        chunk.append(weight)
        size += weight.num_bytes
    if chunk:
        yield chunk
