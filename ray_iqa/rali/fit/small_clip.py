"""A CLIP for small pictures, for demonstrations without pretrained weights, and the warm-up that stands in for them."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ray_iqa.rali.fit.alignment import MAX_LOGIT_SCALE, contrastive_loss
from ray_iqa.rali.fit.descent import Descent
from ray_iqa.rali.model.encoders import Clip, load_clip
from ray_iqa.rali.model.preprocessing import ImageSource

# 49408 is the vocabulary of CLIP's own byte-pair encoding, whose table comes with open_clip; a narrow text tower keeps
# its embedding small. Patches are the blocks of JPEG.
_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
_VISION = {"layers": 3, "width": 96, "head_width": 32, "patch_size": 8}
_JOINT_WIDTH = 64


def build_small_clip(folder: str | Path, size: int = 56, seed: int = 0) -> Clip:
    """Write a CLIP with random weights to ``folder``, where open_clip finds it, and return it.

    Args:
        folder: created when missing.
        size: side of the pictures, a multiple of 8.
        seed: of the weights.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {  # Any: open_clip's own dictionary
        "embed_dim": _JOINT_WIDTH,
        "vision_cfg": {**_VISION, "image_size": size},
        "text_cfg": _TEXT,
    }
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}), encoding="utf-8")
    logging.disable(logging.WARNING)  # open_clip warns that there are no weights yet
    try:
        clip = load_clip(str(folder), seed=seed)
    finally:
        logging.disable(logging.NOTSET)
    clip.save(folder)
    return clip


def warm_up(
    clip: Clip,
    images: Sequence[ImageSource],
    texts: Sequence[str],
    *,
    num_steps: int,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> list[float]:
    """Train both towers, in place, on pictures and what is said about them.

    Args:
        clip: usually from `build_small_clip`.
        images: M pictures; all are kept in memory as tensors.
        texts: M texts; none may tell a quality label.
        num_steps: optimizer steps.
        batch_size: pairs per step.
        learning_rate: peak, reached after a tenth of the steps; then it falls in a line to zero.
        seed: of the batches.

    Returns:
        The loss of each step.
    """
    different = list(dict.fromkeys(texts))
    text_ids = torch.tensor([different.index(text) for text in texts])
    tokens = clip.text.tokens(different)
    pixels = torch.stack([clip.image.preprocessing.pixels(image) for image in images])
    rise = max(1, num_steps // 10)
    descent = Descent(
        list(clip.model.parameters()),
        lambda step: min((step + 1) / rise, (num_steps - step) / (num_steps - rise + 1)),
        lr=learning_rate,
        weight_decay=0.01,
    )
    generator = torch.Generator().manual_seed(seed)
    clip.model.train()
    losses = []
    for _ in range(num_steps):
        rows = torch.randperm(len(pixels), generator=generator)[:batch_size]
        mirror = torch.rand(len(rows), 1, 1, 1, generator=generator) < 0.5
        pictures = torch.where(mirror, pixels[rows].flip(-1), pixels[rows])
        features = nn.functional.normalize(clip.image.tower(pictures), dim=-1)
        in_batch, places = torch.unique(text_ids[rows], return_inverse=True)
        vectors = clip.model.encode_text(tokens[in_batch], normalize=True)[places]
        scale = clip.model.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()
        loss = contrastive_loss(features, vectors, text_ids[rows], scale)
        descent.step(loss)
        losses.append(float(loss.detach()))
    return losses
