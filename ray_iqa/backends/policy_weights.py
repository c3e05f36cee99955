"""The policy's parameters by their transformers names, gathered in pieces, adapters merged."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import deepspeed
import numpy as np
import torch
from numpy.typing import NDArray
from peft.tuners.lora import LoraLayer
from torch.nn import Parameter

from ray_iqa.policy.logprobs import TokenScorer
from ray_iqa.types import TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedWeight:
    """One parameter of the plain model, without adapters."""

    name: str  # as `named_parameters` of the transformers model spells it
    shape: tuple[int, ...]
    dtype: torch.dtype
    sources: tuple[Parameter, ...]  # must be gathered before ``value`` is called
    value: Callable[[], torch.Tensor]

    @property
    def num_bytes(self) -> int:
        """Of the value."""
        return math.prod(self.shape) * self.dtype.itemsize


def named_weights(scorer: TokenScorer) -> list[NamedWeight]:
    """Every parameter once; tied ones under their first name, adapters merged into what they adapt."""
    adapted = {
        f"{name}.base_layer.weight": layer
        for name, layer in scorer.transformer.named_modules()
        if isinstance(layer, LoraLayer)
    }
    weights = []
    for name, parameter in scorer.transformer.named_parameters():
        if ".lora_" in name:
            continue
        layer = adapted.get(name)
        weights.append(
            NamedWeight(
                name=name.replace(".base_layer.", "."),
                shape=tuple(getattr(parameter, "ds_shape", parameter.shape)),
                dtype=parameter.dtype,
                sources=(parameter,) if layer is None else tuple(layer.parameters()),
                value=partial(_plain, parameter) if layer is None else partial(_merged, layer),
            )
        )
    return weights


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
    if not lasting and flat.device.type == "cpu":
        flat = flat.clone()
    return flat.cpu().numpy()


def _plain(parameter: Parameter) -> torch.Tensor:
    return parameter.detach()


def _merged(layer: LoraLayer) -> torch.Tensor:
    weight = layer.get_base_layer().weight
    delta = sum(layer.get_delta_weight(adapter).float() for adapter in layer.active_adapters)
    return (weight.float() + delta).to(weight.dtype)


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
