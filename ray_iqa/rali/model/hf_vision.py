"""Hugging Face's names of a CLIP vision tower -> open_clip's."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ray_iqa.errors import DataError
from ray_iqa.rali.model.encoders import Architecture

_OTHER_TOWER = ("text_model.", "text_projection.", "logit_scale")
_TOP = {
    "class_embedding": "vision_model.embeddings.class_embedding",
    "conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "ln_pre.weight": "vision_model.pre_layrnorm.weight",  # sic
    "ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "ln_post.weight": "vision_model.post_layernorm.weight",
    "ln_post.bias": "vision_model.post_layernorm.bias",
    "proj": "visual_projection.weight",
}
_IN_BLOCK = {
    "ln_1": ("layer_norm1",),
    "ln_2": ("layer_norm2",),
    "attn.in_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attn.out_proj": ("self_attn.out_proj",),
    "mlp.c_fc": ("mlp.fc1",),
    "mlp.c_proj": ("mlp.fc2",),
}
_LAYER = re.compile(r"vision_model\.encoder\.layers\.(\d+)\..*")


def to_open_clip(clip: Mapping[str, Tensor], place: str) -> dict[str, Tensor]:
    """The vision tower of a whole ``CLIPModel`` as open_clip's ``VisionTransformer`` wants it.

    Raises:
        DataError: a tensor of the tower is missing, or a name belongs to no ``CLIPModel``; begins with ``place``.
    """
    vision = {
        name: tensor
        for name, tensor in clip.items()
        if not name.startswith(_OTHER_TOWER) and not name.endswith(".position_ids")  # a constant of old releases
    }
    sources = _sources(max((int(found[1]) + 1 for name in vision if (found := _LAYER.fullmatch(name))), default=1))
    expected = {name for names in sources.values() for name in names}
    for name in expected - vision.keys():
        raise DataError(f"{place} lacks the tensor {name!r} of the vision tower")
    for name in vision.keys() - expected:
        raise DataError(f"{place} has the tensor {name!r}, which no CLIP has")
    tensors = {ours: torch.cat([vision[name] for name in names]) for ours, names in sources.items()}
    return tensors | {"proj": tensors["proj"].T}


def architecture_of(tower: Mapping[str, Tensor], config: Mapping[str, Any]) -> Architecture:  # Any: JSON
    """What open_clip needs to build the tower.

    Args:
        tower: as `to_open_clip` gives it; sizes are those of its tensors.
        config: of the ``CLIPModel``, for the rest.

    Raises:
        DataError: an activation that CLIP does not have.
    """
    settings = config.get("vision_config", {})
    activation = settings.get("hidden_act", "quick_gelu")
    if activation not in ("quick_gelu", "gelu"):
        raise DataError(f"vision_config.hidden_act must be quick_gelu or gelu, got {activation!r}")
    width, _, patch, _ = tower["conv1.weight"].shape
    return Architecture(
        embed_dim=tower["proj"].shape[1],
        vision_cfg={
            "image_size": round((len(tower["positional_embedding"]) - 1) ** 0.5) * patch,
            "layers": sum(name.endswith(".ln_1.weight") for name in tower),
            "width": width,
            "patch_size": patch,
            "head_width": width // settings.get("num_attention_heads", 12),
            "mlp_ratio": len(tower["transformer.resblocks.0.mlp.c_fc.weight"]) / width,
            "norm_kwargs": {"eps": settings.get("layer_norm_eps", 1e-5)},
        },
        quick_gelu=activation == "quick_gelu",
    )


def _sources(num_layers: int) -> dict[str, list[str]]:
    """open_clip's name -> Hugging Face's; of several, the rows are put together."""
    sources = {ours: [theirs] for ours, theirs in _TOP.items()}
    for layer in range(num_layers):
        for kind in ("weight", "bias"):
            for ours, theirs in _IN_BLOCK.items():
                name = f"transformer.resblocks.{layer}.{ours}{'_' if ours == 'attn.in_proj' else '.'}{kind}"
                sources[name] = [f"vision_model.encoder.layers.{layer}.{part}.{kind}" for part in theirs]
    return sources
