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
    "vision_model.embeddings.class_embedding": "class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "positional_embedding",
    "vision_model.pre_layrnorm.weight": "ln_pre.weight",  # sic
    "vision_model.pre_layrnorm.bias": "ln_pre.bias",
    "vision_model.post_layernorm.weight": "ln_post.weight",
    "vision_model.post_layernorm.bias": "ln_post.bias",
}
_IN_BLOCK = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_PROJECTION = "visual_projection.weight"
_LAYER = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")


def split_vision(clip: Mapping[str, Tensor], place: str) -> dict[str, Tensor]:
    """The vision tower's tensors of a whole ``CLIPModel``.

    Raises:
        DataError: a tensor of the tower is missing, or a name belongs to no ``CLIPModel``.
    """
    vision = {
        name: tensor
        for name, tensor in clip.items()
        if not name.startswith(_OTHER_TOWER) and not name.endswith(".position_ids")  # a constant of old releases
    }
    expected = _expected(vision)
    for name in expected - vision.keys():
        raise DataError(f"{place} lacks the tensor {name!r} of the vision tower")
    for name in vision.keys() - expected:
        raise DataError(f"{place} has the tensor {name!r}, which no CLIP has")
    return vision


def to_open_clip(vision: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors as open_clip's ``VisionTransformer`` wants them: queries, keys and values in one matrix."""
    tensors = {ours: vision[theirs] for theirs, ours in _TOP.items()}
    tensors["proj"] = vision[_PROJECTION].T
    for layer in range(_num_layers(vision)):
        theirs, ours = f"vision_model.encoder.layers.{layer}", f"transformer.resblocks.{layer}"
        for kind in ("weight", "bias"):
            tensors |= {f"{ours}.{new}.{kind}": vision[f"{theirs}.{old}.{kind}"] for old, new in _IN_BLOCK.items()}
            parts = [vision[f"{theirs}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            tensors[f"{ours}.attn.in_proj_{kind}"] = torch.cat(parts)
    return tensors


def architecture_of(vision: Mapping[str, Tensor], config: Mapping[str, Any]) -> Architecture:  # Any: JSON
    """What open_clip needs to build the tower: sizes from the tensors, the rest from the ``CLIPModel``'s config.

    Raises:
        DataError: an activation that CLIP does not have.
    """
    settings = config.get("vision_config", {})
    activation = settings.get("hidden_act", "quick_gelu")
    if activation not in ("quick_gelu", "gelu"):
        raise DataError(f"vision_config.hidden_act must be quick_gelu or gelu, got {activation!r}")
    width, _, patch, _ = vision["vision_model.embeddings.patch_embedding.weight"].shape
    num_patches = len(vision["vision_model.embeddings.position_embedding.weight"]) - 1
    hidden = len(vision["vision_model.encoder.layers.0.mlp.fc1.weight"])
    return Architecture(
        embed_dim=len(vision[_PROJECTION]),
        vision_cfg={
            "image_size": round(num_patches**0.5) * patch,
            "layers": _num_layers(vision),
            "width": width,
            "patch_size": patch,
            "head_width": width // settings.get("num_attention_heads", 12),
            "mlp_ratio": hidden / width,
            "norm_kwargs": {"eps": settings.get("layer_norm_eps", 1e-5)},
        },
        quick_gelu=activation == "quick_gelu",
    )


def _num_layers(vision: Mapping[str, Tensor]) -> int:
    return max((int(found[1]) + 1 for name in vision if (found := _LAYER.fullmatch(name))), default=1)


def _expected(vision: Mapping[str, Tensor]) -> set[str]:
    modules = [*_IN_BLOCK, *(f"self_attn.{part}_proj" for part in "qkv")]
    in_blocks = {
        f"vision_model.encoder.layers.{layer}.{module}.{kind}"
        for layer in range(_num_layers(vision))
        for module in modules
        for kind in ("weight", "bias")
    }
    return {*_TOP, _PROJECTION, *in_blocks}
