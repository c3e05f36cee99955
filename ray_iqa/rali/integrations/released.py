"""The four published files of the official release -> our artifact.

``ckpt.pt`` has the last word on all that it holds; only the PCA's mean is nowhere but in ``pca.pkl``. The scale vector
of the checkpoint is the root of the PCA's ``var_`` where the PCA had one, else ones. Scoring never reads any of these
files again. The tower has Hugging Face's names there, and open_clip's here.
"""

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ray_iqa.errors import DataError
from ray_iqa.files import reading
from ray_iqa.rali.integrations.pca_pickle import read_pca
from ray_iqa.rali.model.artifact import Artifact
from ray_iqa.rali.model.encoders import Architecture, ImageEncoder, build_tower
from ray_iqa.rali.model.head import Projection, RaliHead, ScoreBasis
from ray_iqa.rali.model.preprocessing import Preprocessing

_SCORER_KEYS = ("pca_scale", "pca_components", "prototypes", "proto_scores", "logit_scale")
_FILTERS = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers
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


def convert_released(folder: str | Path) -> Artifact:
    """Read ``ckpt.pt``, ``pca.pkl``, ``basis.npz`` and ``best/`` of a folder; no code of theirs is run.

    Raises:
        ConfigError: one of the files is missing.
        DataError: a file is damaged, or holds more, less or something of another shape than the released scorer loads.
    """
    folder = Path(folder)
    state = _checkpoint(folder / "ckpt.pt")
    vision, scorer = _split(state, folder / "ckpt.pt")
    config = _json(folder / "best" / "config.json")
    preprocessing = _preprocessing(folder / "best" / "preprocessor_config.json")
    architecture = _architecture_of(vision, config)
    tower = build_tower(architecture)
    tower.load_state_dict(vision)
    pca = read_pca(folder / "pca.pkl")
    head = _head(scorer, pca, folder)
    if architecture.vision_cfg["image_size"] != preprocessing.size:
        raise DataError(
            f"{folder / 'best'}: the tower takes pictures of {architecture.vision_cfg['image_size']} pixels, "
            f"but the preprocessor makes {preprocessing.size}"
        )
    encoder = ImageEncoder(tower=tower, architecture=architecture, preprocessing=preprocessing)
    return Artifact(encoder=encoder, head=head, provenance={"converted_from": "the four files of the RALI release"})


def _head(scorer: dict[str, Tensor], pca: Projection, folder: Path) -> RaliHead:
    scale, components, vectors = scorer["pca_scale"], scorer["pca_components"], scorer["prototypes"]
    basis = _basis_shapes(folder / "basis.npz")
    found = {
        "pca.pkl mean_": (pca.mean.shape, scale.shape),
        "pca.pkl components_": (pca.components.shape, components.shape),
        "basis.npz vectors": (basis["vectors"], vectors.shape),
        "basis.npz scores": (basis["scores"], scorer["proto_scores"].shape),
    }
    for name, (shape, expected) in found.items():
        if tuple(shape) != tuple(expected):
            raise DataError(f"{folder}: {name} must have the shape of ckpt.pt, {list(expected)}, got {list(shape)}")
    if not (
        np.allclose(pca.scale, scale.abs().numpy(), rtol=1e-3) and np.allclose(pca.components, components, atol=1e-3)
    ):
        warnings.warn(
            f"{folder}: scale or components of pca.pkl differ from ckpt.pt, which is used; "
            "if they were not trained, the files belong to different fits and the mean is wrong",
            stacklevel=2,
        )
    return RaliHead.from_parts(
        Projection(mean=pca.mean, scale=scale.numpy(), components=components.numpy()),
        ScoreBasis(vectors=vectors.numpy(), scores=scorer["proto_scores"].numpy()),
        1.0 / float(scorer["logit_scale"].reshape(()).clamp(min=1e-6)),
    )


def _checkpoint(file: Path) -> dict[str, Tensor]:
    with reading(file, "a checkpoint of tensors"):
        content = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise DataError(f"{file} must hold a dictionary with the key 'state_dict'")
    return {name: tensor.float() for name, tensor in content["state_dict"].items()}


def _split(state: dict[str, Tensor], file: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The vision tower and the scorer of a checkpoint; every key must be known."""
    scorer = {name: state.pop(f"scorer.{name}") for name in _SCORER_KEYS if f"scorer.{name}" in state}
    missing = [name for name in _SCORER_KEYS if name not in scorer]
    if missing:
        raise DataError(f"{file} lacks the key 'scorer.{missing[0]}'")
    clip = {name.removeprefix("clip."): tensor for name, tensor in state.items() if name.startswith("clip.")}
    if len(clip) != len(state):
        unknown = next(name for name in state if not name.startswith("clip."))
        raise DataError(f"{file} has the key {unknown!r}, which the released scorer does not have")
    return _to_open_clip(clip, str(file)), scorer


def _basis_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    with reading(file, "an archive of the arrays 'vectors' and 'scores'"), np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name].shape for name in ("vectors", "scores")}


def _preprocessing(file: Path) -> Preprocessing:
    settings = _json(file)
    size, crop = settings.get("size"), settings.get("crop_size")
    short = size.get("shortest_edge") if isinstance(size, dict) else size
    sides = {*crop.values()} if isinstance(crop, dict) else {crop}
    if sides != {short} or settings.get("resample") not in _FILTERS:
        raise DataError(f"{file} must resize the short side to the side of a square crop, got {size}, {crop}")
    mean, std = settings["image_mean"], settings["image_std"]
    return Preprocessing(
        size=short, mean=mean, std=std, resize="shortest", interpolation=_FILTERS[settings["resample"]]
    )


def _json(file: Path) -> dict[str, Any]:  # Any: JSON
    with reading(file, "the JSON of a released scorer"):
        return dict(json.loads(file.read_text(encoding="utf-8")))


def _to_open_clip(clip: Mapping[str, Tensor], place: str) -> dict[str, Tensor]:
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


def _architecture_of(tower: Mapping[str, Tensor], config: Mapping[str, Any]) -> Architecture:  # Any: JSON
    """What open_clip needs to build the tower.

    Args:
        tower: as `_to_open_clip` gives it; sizes are those of its tensors.
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
