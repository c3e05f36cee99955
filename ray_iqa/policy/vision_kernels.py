"""A vision tower's attention and patch embedding as few large operations, with the same weights.

transformers calls attention once for every window of every picture, and embeds patches by a convolution whose kernel
is as large as its stride, a matrix product that oneDNN does not recognise as one. Without either, the quickstart's
vision warm-up takes a fifth less time.

Letters: H heads, D head size, L patches of all pictures.
"""

from itertools import groupby
from typing import Any

import torch
from torch import nn
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import linear, scaled_dot_product_attention
from transformers import AttentionInterface

from ray_iqa.policy.group_attention import SHARED_PREFIX_FAMILIES
from ray_iqa.policy.packed_attention import packs, rows

_NAME = "flash_windows"  # transformers hands all windows over at once where the name has "flash" in it


def speed_up_vision(model: Any) -> None:  # noqa: ANN401 - model classes differ by family
    """Change the vision tower of a transformers model in place; models of other families stay as they are."""
    if model.config.model_type not in SHARED_PREFIX_FAMILIES:
        return
    tower = model.model.visual
    # `set_attn_implementation` takes such a name for a package to load.
    tower.config._attn_implementation = _NAME
    tower.patch_embed.proj.__class__ = _PatchProduct


class _PatchProduct(nn.Conv3d):
    """A convolution that sees one patch at a time: [L, 3, frames, patch, patch] to [L, width]."""

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return linear(patches.flatten(1), self.weight.flatten(1), self.bias)


def _windows(  # noqa: PLR0913 - as transformers calls it
    module: nn.Module,  # noqa: ARG001
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001
    *,
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    **options: Any,  # noqa: ANN401, ARG001 - whatever a family passes
) -> tuple[torch.Tensor, None]:
    """What transformers calls for a vision tower: tensors [1, H, L, D] to [1, L, H, D]."""
    if packs(query):
        starts = cu_seq_lens_q.to(torch.int32)
        attended: Any = varlen_attn(
            rows(query), rows(key), rows(value), starts, starts, max_length_q, max_length_q, scale=scaling
        )
        return attended[None], None
    # Neighbours of one length share a call: [windows, H, length, D].
    shapes = [(len(list(equal)), length) for length, equal in groupby(cu_seq_lens_q.diff().tolist())]
    sizes = [count * length for count, length in shapes]
    runs = zip(shapes, *(torch.split(tensor[0], sizes, dim=1) for tensor in (query, key, value)), strict=True)
    alone = []
    for shape, *run in runs:
        own, keys, values = (tensor.unflatten(1, shape).transpose(0, 1) for tensor in run)
        alone.append(scaled_dot_product_attention(own, keys, values, scale=scaling).transpose(1, 2).flatten(0, 1))
    return torch.cat(alone)[None], None


AttentionInterface.register(_NAME, _windows)
