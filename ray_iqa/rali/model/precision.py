"""The image tower laid out and rounded for inference; `benchmarks/rali_precision.py` measures what it is worth."""

import copy
import warnings

import torch
from torch import nn

from ray_iqa.config.precision import Precision, check_precision
from ray_iqa.errors import ConfigError


def in_precision(tower: nn.Module, precision: Precision, device: str) -> nn.Module:
    """The tower on ``device``, channels last: itself for fp32, else a copy, so an artifact keeps its exact weights.

    Args:
        tower: in float32.
        precision: bf16 halves all weights. int8 is torch's dynamic quantisation: linear layers keep 8-bit weights and
            round their inputs batch by batch; what is inside torch's own attention stays float32.
        device: as torch spells it.

    Raises:
        ConfigError: no such device here, or int8 anywhere but on a CPU, for which alone torch has it.
    """
    check_precision(precision, device)
    tower = tower.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        if precision == "fp32":
            return tower.to(device)
        if precision == "bf16":
            return copy.deepcopy(tower).to(device, torch.bfloat16)
    except (AssertionError, RuntimeError) as error:  # what a build of torch without the device raises, or bad names
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"device must be one that torch finds here, got {device!r}: {reason}") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is to move to a package of its own, torchao
        quantize = torch.ao.quantization.quantize_dynamic
        quantised: nn.Module = quantize(tower, {nn.Linear}, torch.qint8)  # type: ignore[no-untyped-call]
    return quantised
