"""An update forward and backward on one rank: the reduced gradients and the loss's metrics."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from ray_iqa.backends.deepspeed.engine import DeepSpeedEngine
from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.policy.group_encoding import encoded_ahead
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.policy.logprobs import TokenRows
from ray_iqa.policy.loss import LossParts, loss_scale, policy_loss, token_weights
from ray_iqa.policy.micro_batches import MicroBatch, plan_micro_batches
from ray_iqa.policy.row_builder import RowBuilder
from ray_iqa.policy.token_rows import EncodedGroup
from ray_iqa.types import TrainingBatch, TrainingGroup

_BLANK_SIDE = 56  # pixels


LogprobsByGroup = list[dict[int, torch.Tensor]]
"""Of each forward pass on this rank: [N] of each group by its place in the pass, without those that were not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Forward:
    """One forward pass on this rank."""

    groups: tuple[TrainingGroup, ...]
    rows: TokenRows
    places: tuple[int, ...]  # of the groups in the pass; without any, it is about a blank picture and has no weight
    is_counted: bool
    lost: tuple[str, ...]  # why images that count are not among them


class StepGradients:
    """Accumulates gradients of an update's loss; its means are over the update, whoever runs what."""

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

    def logprobs(self, batch: TrainingBatch) -> LogprobsByGroup:
        """What the present policy gives this rank's answers, without dropout: the old policy of later updates."""
        policy = self._engine.scorer.eval()
        with torch.no_grad():
            found = [self._by_group(forward, policy(forward.rows)[0]) for forward in self._forwards(batch, None)]
        policy.train()
        return found

    def accumulate(self, batch: TrainingBatch, old: LogprobsByGroup | None) -> tuple[dict[str, float], list[str]]:
        """On return the gradients are reduced over ranks, not clipped; the metrics are equal on all ranks.

        An image that cannot be read any more adds nothing and counts as ``policy/lost_images``.

        Args:
            batch: what the update trains on.
            old: the old policy's `logprobs` of ``batch``; None: it is the present one.

        Returns:
            the metrics, and why images of this rank's share added nothing.

        Raises:
            ConfigError: an image is another one than was sampled.
        """
        of_update = [len(answer) for group in batch.groups for answer in group.completions]
        scale = loss_scale(of_update, self._config)
        all_parts: list[LossParts] = []
        problems: list[str] = []
        plan = self._plan(batch)
        for number, forward in enumerate(self._forwards(batch, old)):
            reference_logprobs = self._reference_logprobs(forward.rows)
            logprobs, entropies = self._engine.raw(forward.rows)
            weights = token_weights(forward.rows.lengths, of_update, self._config.loss)
            if not (forward.is_counted and forward.places):
                weights = torch.zeros_like(weights)
            old_logprobs = (
                torch.cat([old[number][place] for place in forward.places]) if old and forward.places else None
            )
            terms = self._builder.terms(forward.groups, entropies, old_logprobs, reference_logprobs, weights)
            parts = policy_loss(logprobs, terms, self._config)
            self._engine.backward(parts.loss * scale, last=number == len(plan) - 1)
            problems += forward.lost
            sums = parts.sums | {"policy/lost_images": parts.loss.new_tensor(len(forward.lost))}
            all_parts.append(LossParts(loss=parts.loss.detach(), sums=sums, maxima=parts.maxima))
        return self._metrics(all_parts), problems

    def _plan(self, batch: TrainingBatch) -> list[MicroBatch]:
        return plan_micro_batches(
            batch.groups,
            num_ranks=self._engine.num_ranks,
            max_tokens=self._config.max_tokens_per_micro_batch,
            share_prefix=self._builder.share_prefix,
        )[torch.distributed.get_rank()]

    def _forwards(self, batch: TrainingBatch, old: LogprobsByGroup | None) -> Iterator[_Forward]:
        """This rank's passes over the batch, the same at each call but for images that have vanished since ``old``."""
        plan = self._plan(batch)
        chosen = [tuple(batch.groups[index] for index in micro_batch.groups) for micro_batch in plan]
        for number, encoded in enumerate(encoded_ahead(self._inputs, chosen)):
            known = range(len(encoded)) if old is None else old[number]
            readable = {
                place: item for place, item in enumerate(encoded) if place in known and not isinstance(item, str)
            }
            groups, encodings = [chosen[number][place] for place in readable], list(readable.values())
            if not readable:  # other ranks wait for every pass
                groups, encodings = [chosen[number][0]], [self._blank(chosen[number][0])]
            counted = plan[number].counted
            yield _Forward(
                groups=tuple(groups),
                rows=self._builder.rows(encodings),
                places=tuple(readable),
                is_counted=counted,
                lost=tuple(item for item in encoded if counted and isinstance(item, str)),
            )

    @staticmethod
    def _by_group(forward: _Forward, logprobs: torch.Tensor) -> dict[int, torch.Tensor]:
        lengths = [sum(map(len, group.completions)) for group in forward.groups]
        return dict(zip(forward.places, torch.split(logprobs, lengths), strict=bool(forward.places)))

    def _blank(self, group: TrainingGroup) -> EncodedGroup:
        prompt = self._inputs.encode(Image.new("RGB", (_BLANK_SIDE, _BLANK_SIDE)))
        return EncodedGroup(prompt=prompt, completions=group.completions)

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
