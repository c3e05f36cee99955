"""Attention of one row that holds whole groups: every completion sees its prompt and itself, and nothing else.

The row is cut into prompts and blocks of completions, each of which attends by itself. No padding is computed and no
mask is as large as the row, so the work grows with the number of groups, not with its square. On a GPU in bfloat16 one
kernel takes them all, see `packed_attention`.

Letters: H query heads, D head size, L tokens of the row, P prompt tokens, T completion tokens, S tokens of a block.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention as _attend
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from ray_iqa.policy.packed_attention import attend_to_groups, packs

GroupSpans = tuple[tuple[int, ...], ...]
"""Of each group in a row, one after another: P, T_1, ..., T_K."""

SHARED_PREFIX_FAMILIES = frozenset({"qwen2_vl", "qwen2_5_vl", "qwen3_vl"})
"""``model_type`` of the families that hand ``group_spans`` down to attention and whose positions are ours to give."""

_NAME = "whole_groups"
# Short completions share a call, or calls cost more than what they compute; long ones would compute each other's part.
_BLOCK_TOKENS = 256


def attend_within_groups(transformer: Any) -> bool:  # noqa: ANN401 - model classes differ by family
    """Let the language model's attention understand ``group_spans``; without them it stays sdpa.

    Returns:
        False, and the model is as it was, when its family is not one that can.
    """
    if transformer.config.model_type not in SHARED_PREFIX_FAMILIES:
        return False
    transformer.model.language_model.set_attn_implementation(_NAME)
    return True


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    group_spans: GroupSpans | None = None,
    **options: Any,  # noqa: ANN401 - whatever a family passes
) -> tuple[torch.Tensor, None]:
    """What transformers calls: tensors [R, heads, L, D] to [R, L, H, D]; with ``group_spans`` R is 1."""
    if group_spans is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    scale, dropout = options["scaling"], options["dropout"]
    if packs(query) and not dropout:
        return attend_to_groups(query, key, value, group_spans, scale), None
    cuts = _cuts(group_spans, query.device)
    lengths = [length for prompt_length, blocks in cuts for length in (prompt_length, *map(len, blocks))]
    groups: Any = module.num_key_value_groups
    pieces = zip(
        *(torch.split(tensor, lengths, dim=2) for tensor in (query, repeat_kv(key, groups), repeat_kv(value, groups))),
        strict=True,
    )
    attended = []
    for _, blocks in cuts:
        queries, prompt_key, prompt_value = next(pieces)
        attended.append(_attend(queries, prompt_key, prompt_value, None, dropout, is_causal=True, scale=scale))
        for mask in blocks:
            queries, own_key, own_value = next(pieces)
            keys, values = torch.cat([prompt_key, own_key], dim=2), torch.cat([prompt_value, own_value], dim=2)
            attended.append(_attend(queries, keys, values, mask, dropout, scale=scale))
    return torch.cat(attended, dim=2).transpose(1, 2), None


@lru_cache(maxsize=1)  # all layers of a forward and a backward pass ask for the same
def _cuts(group_spans: GroupSpans, device: torch.device) -> list[tuple[int, list[torch.Tensor]]]:
    """Of each group P and a mask [S, P + S] per block of completions, True where a token may be seen."""
    return [
        (prompt_length, [_block_mask(prompt_length, block).to(device) for block in _blocks(lengths)])
        for prompt_length, *lengths in group_spans
    ]


def _blocks(lengths: Sequence[int]) -> list[list[int]]:
    blocks: list[list[int]] = []
    for length in lengths:
        if blocks and sum(blocks[-1]) + length <= _BLOCK_TOKENS:
            blocks[-1].append(length)
        else:
            blocks.append([length])
    return blocks


def _block_mask(prompt_length: int, lengths: Sequence[int]) -> torch.Tensor:
    completions = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))  # [S]
    own = (completions[:, None] == completions).tril()
    return torch.cat([torch.ones(len(own), prompt_length, dtype=torch.bool), own], dim=1)


AttentionInterface.register(_NAME, _attention)
AttentionMaskInterface.register(_NAME, sdpa_mask)
