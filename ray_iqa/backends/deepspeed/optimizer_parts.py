"""Where DeepSpeed keeps a trainable parameter's float32 value and Adam's averages, whatever the ZeRO stage.

DeepSpeed updates flat tensors that hold pieces of many parameters. A `Part` says which elements of which parameter
lie where in one of them, so that states can be written by parameter name and read by another number of ranks, or
another stage.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from ray_iqa.backends.deepspeed.engine import DeepSpeedEngine

State = dict[str, torch.Tensor]
_AVERAGES = ("exp_avg", "exp_avg_sq")


class Part(NamedTuple):
    """Some consecutive elements of a flattened parameter, as they lie in one of the flat tensors."""

    name: str
    start: int  # of the elements, counted in the flattened parameter
    size: int
    flat: int  # index of the flat tensor
    offset: int  # of the elements in it


def flat_tensors(engine: DeepSpeedEngine) -> list[torch.Tensor]:
    """The float32 tensors that this rank's optimizer updates; without ZeRO the parameters themselves."""
    optimizer: Any = engine.raw.optimizer  # DeepSpeed is not typed
    if engine.stage == 3:
        return list(optimizer.fp32_partitioned_groups_flat)
    if engine.stage > 0:
        names = ("single_partition_of_fp32_groups", "fp32_groups_flat_partition")  # the latter of BF16_Optimizer
        return list(next(getattr(optimizer, name) for name in names if hasattr(optimizer, name)))
    return [parameter for _, parameter in _trainable(engine)]


def parts_of(engine: DeepSpeedEngine) -> list[Part]:
    """What of each trainable parameter this rank updates: everything without ZeRO, else its share."""
    found = []
    for index, (name, parameter) in enumerate(_trainable(engine)):
        if engine.stage == 3:
            optimizer = engine.raw.optimizer
            flat, offset, share = optimizer.grad_position[optimizer.get_param_id(parameter)]
            start = share * torch.distributed.get_rank()
            size = min(share, parameter.ds_numel - start)  # the last shares are filled up
        elif engine.stage > 0:
            mapping = parameter._hp_mapping
            if mapping is None:
                continue
            start, size = mapping.lp_fragment_address.start, mapping.lp_fragment_address.numel
            flat, offset = mapping.param_group_index, mapping.hp_fragment_address.start
        else:
            start, size, flat, offset = 0, parameter.numel(), index, 0
        if size > 0:
            found.append(Part(name=name, start=start, size=size, flat=flat, offset=offset))
    return found


def state_of(engine: DeepSpeedEngine, flat: torch.Tensor) -> State:
    """Value, step and averages of a flat tensor, none of them a copy; the value alone before its first step."""
    return {"value": flat.detach(), **engine.raw.optimizer.state.get(flat, {})}


def raise_step(engine: DeepSpeedEngine, flat: torch.Tensor, step: torch.Tensor) -> None:
    """Give a flat tensor at least this many steps; averages of zero with its first ones, as torch's AdamW does."""
    state = engine.raw.optimizer.state[flat]
    if not state:
        state |= {"step": torch.zeros_like(step), **{name: torch.zeros_like(flat.detach()) for name in _AVERAGES}}
    state["step"].copy_(torch.maximum(state["step"], step))


def take_values(engine: DeepSpeedEngine) -> None:
    """Bring the model's own parameters to the values of the flat tensors, as a step does; on all ranks."""
    optimizer: Any = engine.raw.optimizer
    if engine.stage == 3:
        optimizer._partition_all_parameters()
        for group in range(len(optimizer.fp32_partitioned_groups_flat)):
            optimizer._reassign_or_swap_out_partitioned_parameters(group)
        optimizer._post_step(set())
    elif engine.stage > 0:
        optimizer.update_lp_params()


def num_elements(engine: DeepSpeedEngine) -> dict[str, int]:
    """Elements of each trainable parameter, by name."""
    return {name: getattr(parameter, "ds_numel", parameter.numel()) for name, parameter in _trainable(engine)}


def _trainable(engine: DeepSpeedEngine) -> Iterator[tuple[str, Any]]:  # parameters, to which DeepSpeed adds
    return ((name, value) for name, value in engine.scorer.named_parameters() if value.requires_grad)
