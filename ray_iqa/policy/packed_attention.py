"""Attention of sequences of many lengths in one kernel call each layer, on a GPU in bfloat16.

Cut into pieces instead, a step of 16 groups makes hundreds of calls in every layer of both towers; on an H200 an update
of 3B parameters then took more than twice as long (docs/benchmarks.md). The kernel is PyTorch's own `varlen_attn`
(FlashAttention).

Letters: H query heads, D head size, L tokens of the row, N tokens that are seen, repeats counted.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import torch
from torch.nn.attention.varlen import varlen_attn

_CAUSAL = (-1, 0)  # aligned at the end, so a completion that is asked for alone sees the whole prompt before it


def packs(query: torch.Tensor) -> bool:
    """Whether the kernel takes such a tensor."""
    return query.is_cuda and query.dtype is torch.bfloat16


def attend_to_groups(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    group_spans: Sequence[Sequence[int]],
    scale: float,
) -> torch.Tensor:
    """As in `group_attention`: tensors [1, heads, L, D] to [1, L, H, D]."""
    repeats = query.shape[1] // key.shape[1]
    seen, starts, seen_starts, longest, longest_seen = _layout(tuple(map(tuple, group_spans)), query.device)
    keys, values = (rows(tensor)[seen].repeat_interleave(repeats, dim=1) for tensor in (key, value))
    attended: Any = varlen_attn(
        rows(query), keys, values, starts, seen_starts, longest, longest_seen, scale=scale, window_size=_CAUSAL
    )
    return attended[None]


@lru_cache(maxsize=1)  # all layers of a forward and a backward pass ask for the same
def _layout(
    group_spans: tuple[tuple[int, ...], ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int, int]:
    """Prompts and completions as sequences, one after another.

    Returns:
        the tokens [N] that are seen, where sequences start [S + 1] among all tokens and among the seen, and how long
        the longest of either is.
    """
    seen, lengths, seen_lengths, position = [], [], [], 0
    for prompt_length, *completions in group_spans:
        prompt = torch.arange(position, position + prompt_length)
        position += prompt_length
        seen.append(prompt)
        lengths.append(prompt_length)
        seen_lengths.append(prompt_length)
        for length in completions:
            seen += [prompt, torch.arange(position, position + length)]
            position += length
            lengths.append(length)
            seen_lengths.append(prompt_length + length)
    starts, seen_starts = (
        torch.tensor([0, *accumulate(own)], dtype=torch.int32).to(device) for own in (lengths, seen_lengths)
    )
    return torch.cat(seen).to(device), starts, seen_starts, max(lengths), max(seen_lengths)


def rows(tensor: torch.Tensor) -> torch.Tensor:
    """[1, heads, L, D] to [L, heads, D]."""
    return tensor[0].transpose(0, 1).contiguous()
