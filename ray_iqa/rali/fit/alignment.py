"""Stage 1: the image tower moves towards its pictures' own reasoning texts (symmetric InfoNCE).

The paper leaves open what is trained, at which rate, and what happens to texts that occur twice. Here the text tower
is frozen and its embeddings are computed once; identical texts in a batch are positives of each other, so that a
picture is never pushed away from its own words; the loss is a divergence, zero when the targets are met.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ray_iqa.config.rali import AlignmentConfig
from ray_iqa.rali.fit.descent import Descent

Gather = Callable[[Tensor], Tensor]
"""This worker's rows [b, ...] -> all workers' rows [B, ...] in one order, with gradients to this worker's."""

MAX_LOGIT_SCALE = math.log(100.0)
_START_LOGIT_SCALE = math.log(1 / 0.07)
_BLOCK = re.compile(r"\b(?:resblocks|blocks)\.(\d+)\.")
_PROJECTION = re.compile(r"(?:^|\.)(?:logit_scale|tower\.proj|tower\.attnpool\..*|tower\.head\..*)$")
_AFTER_BLOCKS = re.compile(r"\b(?:ln_post|trunk\.norm|trunk\.fc_norm|trunk\.attn_pool)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentBatch:
    """This worker's share of a step: b pictures with one text each."""

    pixels: Tensor  # [b, 3, S, S], as the tower takes them
    texts: Tensor  # [b, D], unit length
    text_ids: Tensor  # [b] int64; equal for identical texts, over all workers


class AlignmentModule(nn.Module):
    """Image tower and logit scale: all that stage 1 trains."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower
        self.logit_scale = nn.Parameter(torch.tensor(_START_LOGIT_SCALE))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """[b, 3, S, S] -> features [b, D] of unit length, and the factor of the cosines."""
        features = nn.functional.normalize(self.tower(pixels).float(), dim=-1)
        return features, self.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()


def alone(rows: Tensor) -> Tensor:
    """The `Gather` of a single worker."""
    return rows


def gather_from_all(rows: Tensor) -> Tensor:
    """The `Gather` over torch's default process group; the gradient matches an average over workers.

    Every worker must hold the same number of rows and computes the loss of the whole batch; after the average that
    DistributedDataParallel takes, parameters have the gradient that one worker with the whole batch would find.
    """
    if not rows.requires_grad:
        parts = [torch.empty_like(rows) for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)
    from torch.distributed.nn.functional import all_gather  # here, for not every build of torch has it

    return torch.cat(all_gather(rows.contiguous()))  # type: ignore[no-untyped-call]


def contrastive_loss(
    images: Tensor, texts: Tensor, text_ids: Tensor, scale: Tensor, soft_temperature: float | None = None
) -> Tensor:
    """Mean of both directions' divergence between target shares and softmax of scaled cosines.

    Args:
        images: [B, D], unit length.
        texts: [B, D], unit length; row i belongs to image i.
        text_ids: [B]; equal for identical texts. Without any such the loss is CLIP's own.
        scale: factor of the cosines.
        soft_temperature: None splits the target evenly over identical texts; a number makes it the softmax of
            cosines between texts divided by that number.
    """
    if soft_temperature is None:
        same = (text_ids[:, None] == text_ids[None, :]).to(images.dtype)
        targets = same / same.sum(dim=1, keepdim=True)
    else:
        targets = torch.softmax(texts @ texts.T / soft_temperature, dim=1)
    logits = scale * images @ texts.T
    # The similarity of texts is symmetric, so one matrix of targets serves rows and columns.
    directions = (
        nn.functional.kl_div(torch.log_softmax(rows, dim=1), targets, reduction="batchmean")
        for rows in (logits, logits.T)
    )
    return sum(directions, start=logits.new_zeros(())) / 2


class Aligner:
    """Optimizer, schedule and step of stage 1; the same code in one process and on every worker of many.

    Args:
        module: `AlignmentModule`, or one wrapped by DistributedDataParallel.
        config: section ``alignment``.
        num_steps: steps of the whole stage, for the schedule.
        gather: how a worker sees the others' features: global negatives.
    """

    def __init__(self, module: nn.Module, config: AlignmentConfig, num_steps: int, gather: Gather = alone) -> None:
        self._module, self._config, self._gather = module, config, gather
        warm_up = max(1, round(config.warmup_fraction * num_steps))
        self._descent = Descent(
            list(module.parameters()),
            lambda step: min((step + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * min(1.0, step / num_steps)))),
            max_grad_norm=config.max_grad_norm,
            groups=parameter_groups(module, config),
            betas=(0.9, 0.98),
            eps=1e-6,
        )

    def train_epoch(self, batches: Iterable[AlignmentBatch]) -> dict[str, float]:
        """One pass; returns ``loss`` (mean over steps) and ``logit_scale`` at its end."""
        self._module.train()
        losses = [self._step(batch) for batch in batches]
        scale = next(value for name, value in self._module.named_parameters() if name.endswith("logit_scale"))
        return {
            "loss": float(torch.stack(losses).mean()) if losses else math.nan,
            "logit_scale": float(scale.detach().clamp(max=MAX_LOGIT_SCALE).exp()),
        }

    def state_dict(self) -> dict[str, Any]:  # Any: torch's nested state
        """Optimizer and schedule, for a checkpoint."""
        return {"optimizer": self._descent.optimizer.state_dict(), "schedule": self._descent.schedule.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # Any: torch's nested state
        """Continue from `state_dict` of an aligner whose module is as it was then."""
        self._descent.optimizer.load_state_dict(state["optimizer"])
        self._descent.schedule.load_state_dict(state["schedule"])

    def _step(self, batch: AlignmentBatch) -> Tensor:
        device = next(self._module.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            features, scale = self._module(batch.pixels.to(device))
        loss = contrastive_loss(
            self._gather(features),
            self._gather(batch.texts.to(device)),
            self._gather(batch.text_ids.to(device)),
            scale,
            self._config.soft_temperature if self._config.targets == "soft" else None,
        )
        self._descent.step(loss)
        return loss.detach()


def parameter_groups(module: nn.Module, config: AlignmentConfig) -> list[dict[str, Any]]:  # Any: torch's groups
    """Optimizer groups: the projection at its own rate, blocks slower the earlier they come.

    What comes before the blocks is one block earlier than the first. A tower without numbered blocks (a ResNet)
    learns at one rate. Vectors and position embeddings do not decay.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter, rate in _rates(module, config):
        decays = parameter.ndim > 1 and not name.endswith(("positional_embedding", "pos_embed"))
        groups.setdefault((rate, config.weight_decay if decays else 0.0), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def _rates(module: nn.Module, config: AlignmentConfig) -> Iterator[tuple[str, nn.Parameter, float]]:
    names = [name for name, _ in module.named_parameters()]
    num_blocks = max((int(found[1]) + 1 for name in names if (found := _BLOCK.search(name))), default=0)
    for name, parameter in module.named_parameters():
        block = _BLOCK.search(name)
        if _PROJECTION.search(name):
            yield name, parameter, config.projection_learning_rate
        elif block or num_blocks == 0 or _AFTER_BLOCKS.search(name):
            depth = num_blocks - 1 - int(block[1]) if block else 0
            yield name, parameter, config.learning_rate * config.layer_decay**depth
        else:
            yield name, parameter, config.learning_rate * config.layer_decay**num_blocks
