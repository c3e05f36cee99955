"""Token log-probabilities and entropies of given completions.

Letters: R rows, L tokens of a row (padding included), H hidden size, N completion tokens of all rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ray_iqa.policy.group_attention import GroupSpans, attend_within_groups

# One chunk of logits in float32 over a vocabulary of 152k takes 156 MB.
_CHUNK_TOKENS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRows:
    """Model inputs of some groups, and where their completion tokens are predicted.

    The N completion tokens come group by group, completion by completion.
    """

    inputs: Mapping[str, torch.Tensor]  # keyword arguments of the model: input_ids [R, L], attention_mask, ...
    predictors: torch.Tensor  # int64 [N], r * L + t of the token whose hidden state predicts the completion token
    targets: torch.Tensor  # int64 [N], the completion tokens
    lengths: tuple[int, ...]  # of the completions; they sum to N
    group_spans: GroupSpans | None = None  # of the groups in the one row; None for rows that are sequences

    def to(self, device: torch.device) -> "TokenRows":
        """The same rows on another device."""
        return replace(
            self,
            inputs={name: tensor.to(device, non_blocking=True) for name, tensor in self.inputs.items()},
            predictors=self.predictors.to(device),
            targets=self.targets.to(device),
        )


class TokenLogprobs(nn.Module):
    """A vision-language model that answers with log-probabilities of completion tokens.

    The vocabulary is never materialised for all tokens: only hidden states of completion tokens reach the
    output layer, in chunks whose logits are computed again in the backward pass.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model  # transformers model, bare or inside peft; neither is typed
        self.head = LogprobHead(self.transformer.get_output_embeddings())
        self.can_share_prompts = attend_within_groups(self.transformer)
        """Whether rows may have ``group_spans``."""

    @property
    def transformer(self) -> Any:  # noqa: ANN401 - model classes differ by family
        """The transformers model; with adapters, the one they are injected in."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    def forward(self, rows: TokenRows) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities [N] and entropies [N] at temperature 1, float32; entropies carry no gradient."""
        spans = {} if rows.group_spans is None else {"group_spans": rows.group_spans}
        hidden = self.transformer.model(**rows.inputs, **spans, use_cache=False).last_hidden_state  # [R, L, H]
        scores: tuple[torch.Tensor, torch.Tensor] = self.head(hidden.flatten(0, 1)[rows.predictors], rows.targets)
        return scores


class LogprobHead(nn.Module):
    """The model's output layer as a module of its own: hidden states to log-probabilities.

    It shares the layer's parameters, so an engine that shards them gathers them once per forward pass,
    however many chunks there are.
    """

    def __init__(self, output_layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = output_layer.weight, output_layer.bias

    def forward(self, hidden: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `TokenLogprobs.forward`; ``hidden`` is [N, H]."""
        chunks = zip(torch.split(hidden, _CHUNK_TOKENS), torch.split(targets, _CHUNK_TOKENS), strict=True)
        scored = [self._score_recomputed(part, target) for part, target in chunks]
        logprobs, entropies = zip(*scored, strict=True)
        return torch.cat(logprobs), torch.cat(entropies)

    def _score_recomputed(self, hidden: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if not torch.is_grad_enabled():
            return self._score(hidden, targets)
        scores: tuple[torch.Tensor, torch.Tensor] = checkpoint(
            self._score, hidden, targets, use_reentrant=False, preserve_rng_state=False
        )
        return scores

    def _score(self, hidden: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = functional.linear(hidden, self.weight, self.bias).float()
        log_normaliser = logits.logsumexp(dim=-1)
        logprobs = logits.gather(-1, targets[:, None])[:, 0] - log_normaliser
        with torch.no_grad():
            entropies = log_normaliser - (logits.softmax(dim=-1) * logits).sum(dim=-1)
        return logprobs, entropies
