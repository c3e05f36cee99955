"""The losses by name: clipped surrogate, KL to the reference policy, truncated importance sampling.

Formulas 4 to 6 of VisualQuality-R1 (arXiv 2505.14460) as its released code computes them: per token. The old policy
is the learner's at the start of the batch; with one update per batch it is the current one, its ratio is 1 and the
clip never acts. Departure: the released code ignores that the sampler's probabilities differ from the learner's; here
each token's surrogate is weighted with the truncated ratio of the old policy's to the sampler's.

The names differ in what a token counts (`token_weights`, `loss_scale`), in their advantages (`ray_iqa.grpo.advantages`)
and in defaults of the section ``learner``.

N completion tokens of any part of an update.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ray_iqa.config.learner import DeepSpeedLearnerConfig, LossName

# exp(20) is 5e8: no policy that learns comes near, and float32 holds it.
_MAX_LOG_RATIO = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTerms:
    """What the loss needs beside the policy's own log-probabilities; all are float32 [N]."""

    sampler_logprobs: torch.Tensor | None  # None for given texts, which no sampler wrote: their ratio is 1
    old_logprobs: torch.Tensor | None = None  # by the policy at the start of the batch; None: by the present one
    reference_logprobs: torch.Tensor | None  # None without a reference policy
    entropies: torch.Tensor
    advantages: torch.Tensor  # each response's advantage at all of its tokens
    weights: torch.Tensor  # see `token_weights`


@dataclass(frozen=True, slots=True, kw_only=True)
class LossParts:
    """A part's share of an update. Shares of all parts add up to the whole's value; maxima need a maximum."""

    loss: torch.Tensor  # scalar, differentiable
    sums: dict[str, torch.Tensor]
    maxima: dict[str, torch.Tensor]


def token_weights(lengths: Sequence[int], of_update: Sequence[int], loss: LossName) -> torch.Tensor:
    """Weight of each token [N] in the means over an update, to whose tokens all weights add up to 1.

    grpo takes the mean over a response's tokens, then the mean over responses, as VisualQuality-R1's code. dapo (arXiv
    2503.14476, equation 8) and dr_grpo (arXiv 2503.20783) count every token alike.

    Args:
        lengths: tokens of each response of this part.
        of_update: tokens of each response of the whole update, on all ranks and in all micro-batches.
        loss: its name.
    """
    if loss != "grpo":
        return torch.full((sum(lengths),), 1.0 / max(sum(of_update), 1))
    per_response = torch.tensor([1.0 / (max(length, 1) * len(of_update)) for length in lengths])
    return per_response.repeat_interleave(torch.tensor(lengths, dtype=torch.int64))


def loss_scale(of_update: Sequence[int], settings: DeepSpeedLearnerConfig) -> float:
    """What the weighted mean over an update's tokens is multiplied with.

    dr_grpo does not divide by an answer's length, which favours short right and long wrong ones, but by a constant, as
    its released code does: the sum over all tokens by ``dr_grpo_length`` and the number of responses.
    """
    return sum(of_update) / (settings.dr_grpo_length * len(of_update)) if settings.loss == "dr_grpo" else 1.0


def policy_loss(logprobs: torch.Tensor, terms: TokenTerms, settings: DeepSpeedLearnerConfig) -> LossParts:
    """Loss and metrics of some tokens of an update.

    Args:
        logprobs: of the policy, [N], differentiable.
        terms: constants of the same tokens.
        settings: clip_low, clip_high, kl_coef and importance_cap are read.
    """
    old = logprobs.detach() if terms.old_logprobs is None else terms.old_logprobs
    ratio = (logprobs - old).clamp(max=_MAX_LOG_RATIO).exp()
    surrogate, clipped = clipped_surrogate(ratio, terms.advantages, settings)
    sampled = terms.sampler_logprobs
    difference = torch.zeros_like(old) if sampled is None else old - sampled
    importance = difference.clamp(-_MAX_LOG_RATIO, _MAX_LOG_RATIO).exp()
    token_loss = -importance.clamp(max=settings.importance_cap) * surrogate
    values = {
        "policy/entropy": terms.entropies,
        "policy/cross_entropy": -logprobs.detach(),
        "policy/ratio_mean": ratio.detach(),
        **clipped,
        "policy/importance_ratio_mean": importance,
        "policy/logprob_difference_mean": difference.abs(),
    }
    if terms.reference_logprobs is not None:
        kl = k3_divergence(logprobs, terms.reference_logprobs)
        token_loss = token_loss + settings.kl_coef * kl
        values["policy/kl"] = kl.detach()
    loss = (token_loss * terms.weights).sum()
    sums = {name: (value * terms.weights).sum() for name, value in values.items()}
    counted = terms.weights > 0  # a part of weight 0 only keeps other ranks company
    maxima = {
        "policy/importance_ratio_max": torch.where(counted, importance, 0.0).max(),
        "policy/logprob_difference_max": torch.where(counted, difference.abs(), 0.0).max(),
    }
    return LossParts(loss=loss, sums={"policy/loss": loss.detach(), **sums}, maxima=maxima)


def clipped_surrogate(
    ratio: torch.Tensor, advantages: torch.Tensor, settings: DeepSpeedLearnerConfig
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """PPO's pessimistic objective of each token [N], and where either side of the clip acts (1, elsewhere 0)."""
    low, high = 1.0 - settings.clip_low, 1.0 + settings.clip_high
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(low, high) * advantages)
    return surrogate, {
        "policy/clip_fraction_low": ((ratio < low) & (advantages < 0)).float(),
        "policy/clip_fraction_high": ((ratio > high) & (advantages > 0)).float(),
    }


def k3_divergence(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """Schulman's k3 estimate of KL(policy || reference) of each token [N]: ``exp(d) - d - 1``, never negative."""
    difference = (reference_logprobs - logprobs).clamp(-_MAX_LOG_RATIO, _MAX_LOG_RATIO)
    return difference.exp() - difference - 1.0
