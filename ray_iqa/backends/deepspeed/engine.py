"""One rank's DeepSpeed engine: start, accumulate, step.

The only file that knows DeepSpeed's gradient accumulation. DeepSpeed averages gradients over ranks; losses
here are shares of the whole step's loss, so they are multiplied with the number of ranks beforehand.
"""

import os

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import deepspeed
from deepspeed.accelerator import get_accelerator
from transformers.integrations.deepspeed import HfDeepSpeedConfig

from ray_iqa.backends.compat.compiler import without_compiler
from ray_iqa.policy.logprobs import TokenLogprobs

with without_compiler():  # it would compile an optimizer that nothing here uses
    import deepspeed.runtime.zero.muon.muon_optimizer


def join_process_group() -> torch.device:
    """Meet the other ranks (RANK, WORLD_SIZE, MASTER_ADDR, ... are in the environment); returns this rank's device."""
    accelerator = get_accelerator()
    on_gpu = accelerator.device_name() == "cuda"
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    else:
        # Or DeepSpeed compiles a shared-memory operator for 40 s, and fails on a machine without a compiler.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend="nccl" if on_gpu else "gloo", auto_mpi_discovery=False)
    return torch.device(accelerator.current_device_name())


@contextmanager
def sharded_loading(config: dict[str, Any]) -> Iterator[None]:
    """With ZeRO-3, `from_pretrained` inside shards every parameter as soon as it is read."""
    # transformers holds this object by weak reference: sharding ends with this function's frame.
    announce: Any = HfDeepSpeedConfig  # untyped
    announced = announce(config) if config["zero_optimization"]["stage"] == 3 else None
    yield
    del announced


class DeepSpeedEngine:
    """A policy under training on one rank."""

    def __init__(self, scorer: TokenLogprobs, config: dict[str, Any]) -> None:
        trainable = [parameter for parameter in scorer.parameters() if parameter.requires_grad]
        # DeepSpeed is not typed.
        self.raw: Any = deepspeed.initialize(model=scorer, model_parameters=trainable, config=config)[0]
        self.scorer = scorer
        self.stage: int = config["zero_optimization"]["stage"]
        self.num_ranks = torch.distributed.get_world_size()

    @property
    def is_sharded(self) -> bool:
        """Whether parameters must be gathered before they are read."""
        return self.stage == 3

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        """Add the gradients of a share of the step's loss; ``last`` marks the step's last call."""
        if not torch.isfinite(loss):
            loss = loss * torch.nan  # whatever its gradient is, the step must be skipped
        self.raw.set_gradient_accumulation_boundary(last)
        self.raw.backward(loss * self.num_ranks)

    def step(self, learning_rate: float) -> tuple[float, bool]:
        """Clip the reduced gradients and update the parameters, unless a gradient is not finite.

        Returns:
            The gradient norm before clipping, and whether the step was taken.
        """
        for group in self.raw.optimizer.param_groups:
            group["lr"] = learning_rate
        if self.stage > 0:
            self.raw.step()
            return float(self.raw.get_global_grad_norm()), bool(self.raw.was_step_applied())
        # Without ZeRO, DeepSpeed neither checks nor reports the norm.
        gradients = [parameter.grad for parameter in self.scorer.parameters() if parameter.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients))
        if not math.isfinite(norm):
            self.raw.zero_grad()
            return norm, False
        self.raw.step()
        return norm, True

    def reduce(self, values: torch.Tensor, *, maximum: bool = False) -> torch.Tensor:
        """Sum or maximum of float64 values over ranks, on every rank."""
        reduced = values.to(get_accelerator().current_device_name())
        operation = torch.distributed.ReduceOp.MAX if maximum else torch.distributed.ReduceOp.SUM
        torch.distributed.all_reduce(reduced, op=operation)
        return reduced.cpu()


def frozen_engine(scorer: TokenLogprobs, config: dict[str, Any], device: torch.device) -> Callable[..., Any]:
    """A model that is only evaluated: sharded like the policy with ZeRO-3, else whole on the device."""
    if config["zero_optimization"]["stage"] != 3:
        return scorer.to(device)
    engine: Callable[..., Any] = deepspeed.initialize(model=scorer, config=config)[0]
    return engine
