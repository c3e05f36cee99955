"""A whole step forward and backward on one rank: the reduced gradients and the step's loss metrics."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from PIL import Image

from ray_iqa.backends.deepspeed.engine import DeepSpeedEngine
from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.policy.group_encoding import encoded_ahead
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.policy.logprobs import TokenRows
from ray_iqa.policy.loss import LossParts, policy_loss
from ray_iqa.policy.micro_batches import plan_micro_batches
from ray_iqa.policy.row_builder import RowBuilder
from ray_iqa.policy.token_rows import EncodedGroup
from ray_iqa.types import TrainingBatch, TrainingGroup

_BLANK_SIDE = 56  # pixels


class StepGradients:
    """Accumulates gradients of the whole step's loss; its means are over the step, whoever runs what."""

    def __init__(
        self,
        engine: DeepSpeedEngine,
        reference: Callable[[TokenRows], Any] | None,
        inputs: PolicyInputs,
        builder: RowBuilder,
        config: DeepSpeedLearnerConfig,
    ) -> None:
        """``reference`` is None when there is no KL term, or when the policy without its adapters is the reference."""
        self._engine, self._reference, self._inputs = engine, reference, inputs
        self._builder, self._config = builder, config
        self.problems: list[str] = []
        """Of the newest step on this rank."""

    def accumulate(self, batch: TrainingBatch) -> dict[str, float]:
        """On return the gradients are reduced over ranks, not clipped; the metrics are equal on all ranks.

        An image that cannot be read any more adds nothing and counts as ``policy/lost_images``; ``problems`` says why.

        Raises:
            ConfigError: an image is another one than was sampled.
        """
        num_responses = sum(len(group.completions) for group in batch.groups)
        plan = plan_micro_batches(
            batch.groups,
            num_ranks=self._engine.num_ranks,
            max_tokens=self._config.max_tokens_per_micro_batch,
            share_prefix=self._builder.share_prefix,
        )[torch.distributed.get_rank()]
        chosen = [tuple(batch.groups[index] for index in micro_batch.groups) for micro_batch in plan]
        all_parts, self.problems = [], []
        for position, encoded in enumerate(encoded_ahead(self._inputs, chosen)):
            kept = [
                (group, found)
                for group, found in zip(chosen[position], encoded, strict=True)
                if not isinstance(found, str)
            ]
            # Other ranks wait for every pass: where nothing is left, it is about a blank picture and has no weight.
            groups, readable = zip(*(kept or [self._blank(chosen[position][0])]), strict=True)
            rows = self._builder.rows(readable)
            reference_logprobs = self._reference_logprobs(rows)
            logprobs, entropies = self._engine.raw(rows)
            counted = plan[position].counted
            weight = num_responses if counted and kept else 0
            terms = self._builder.terms(groups, entropies, reference_logprobs, num_responses=weight)
            parts = policy_loss(logprobs, terms, self._config)
            self._engine.backward(parts.loss, last=position == len(plan) - 1)
            lost = [found for found in encoded if counted and isinstance(found, str)]
            self.problems += lost
            sums = parts.sums | {"policy/lost_images": parts.loss.new_tensor(len(lost))}
            all_parts.append(LossParts(loss=parts.loss.detach(), sums=sums, maxima=parts.maxima))
        return self._metrics(all_parts)

    def _blank(self, group: TrainingGroup) -> tuple[TrainingGroup, EncodedGroup]:
        prompt = self._inputs.encode(Image.new("RGB", (_BLANK_SIDE, _BLANK_SIDE)))
        return group, EncodedGroup(prompt=prompt, completions=group.completions)

    def _reference_logprobs(self, rows: TokenRows) -> torch.Tensor | None:
        if self._config.kl_coef == 0:
            return None
        policy = self._engine.scorer
        with torch.no_grad(), nullcontext() if self._reference else policy.model.disable_adapter():
            logprobs: torch.Tensor = (self._reference or policy)(rows)[0]
        return logprobs

    def _metrics(self, all_parts: list[LossParts]) -> dict[str, float]:
        sums = torch.stack([_stacked(parts.sums) for parts in all_parts]).sum(dim=0)
        maxima = torch.stack([_stacked(parts.maxima) for parts in all_parts]).amax(dim=0)
        reduced = [*self._engine.reduce(sums).tolist(), *self._engine.reduce(maxima, maximum=True).tolist()]
        return dict(zip([*all_parts[0].sums, *all_parts[0].maxima], reduced, strict=True))


def _stacked(values: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack([value.double() for value in values.values()])
