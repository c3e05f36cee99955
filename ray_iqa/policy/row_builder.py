"""Training groups to device tensors: the rows a model reads and the constants its loss needs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ray_iqa.policy.logprobs import TokenLogprobs, TokenRows
from ray_iqa.policy.loss import TokenTerms
from ray_iqa.policy.token_rows import EncodedGroup, separate_rows, shared_prefix_rows
from ray_iqa.types import TrainingGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class RowBuilder:
    """Lays groups out for one model on one device."""

    scorer: TokenLogprobs
    share_prefix: bool
    device: torch.device

    def rows(self, groups: Sequence[EncodedGroup]) -> TokenRows:
        """All groups in one row, or one row per completion where the family cannot share prompts."""
        rows = shared_prefix_rows(groups, self.scorer.transformer) if self.share_prefix else separate_rows(groups)
        return rows.to(self.device)

    def terms(
        self,
        groups: Sequence[TrainingGroup],
        entropies: torch.Tensor,
        old_logprobs: torch.Tensor | None,
        reference_logprobs: torch.Tensor | None,
        weights: torch.Tensor,
    ) -> TokenTerms:
        """The loss's constants for the tokens of ``groups``, in the order of `rows`.

        Args:
            groups: of one forward pass.
            entropies: [N].
            old_logprobs: [N], None where the present policy is the old one.
            reference_logprobs: [N], None without a reference policy.
            weights: [N], on any device.
        """
        lengths = tuple(len(completion) for group in groups for completion in group.completions)
        advantages = np.concatenate([group.advantages for group in groups])
        return TokenTerms(
            sampler_logprobs=self._sampler_logprobs(groups),
            old_logprobs=old_logprobs,
            reference_logprobs=reference_logprobs,
            entropies=entropies,
            advantages=self._tensor(np.repeat(advantages, lengths)),
            weights=weights.to(self.device),
        )

    def _sampler_logprobs(self, groups: Sequence[TrainingGroup]) -> torch.Tensor | None:
        rows = [group.logprobs for group in groups]
        sampled = [row for row in rows if row is not None]
        assert len(sampled) in (0, len(rows)), "the texts of a step are all sampled or all given"
        return self._tensor(np.concatenate([part for row in sampled for part in row])) if sampled else None

    def _tensor(self, values: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self.device)
