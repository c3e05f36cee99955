"""Teaches a tiny policy's vision tower to see.

Every token the tower hands to the language model must tell twelve pixel statistics of its own region, which
distortion (kind and level) the picture has, and the level alone. This stands in for pre-training: kind and level
nearly determine quality, so what reinforcement learning adds afterwards is the judgement, not the seeing.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import nn
from transformers import AutoProcessor, BatchFeature, PreTrainedModel

from ray_iqa.config.policy import PolicyConfig
from ray_iqa.policy.loading import load_transformer
from ray_iqa.quickstart.ladder_pictures import LadderPictures, load_training_pictures
from ray_iqa.quickstart.lesson_descent import lesson_descent
from ray_iqa.quickstart.tiny_policy import save_policy

_BATCH_SIZE = 64
_LEARNING_RATE = 3e-3
_NUM_STATISTICS = 12
_MAX_LEVEL = 5


def warm_up(policy: str | Path, data: str | Path, folder: str | Path, *, num_steps: int = 1000, seed: int = 0) -> Path:
    """Train the vision tower of ``policy`` on the ladders' training pictures and write the policy to ``folder``.

    Args:
        policy: folder of a policy, as `build_tiny_policy` writes it.
        data: folder that `synthesise` wrote; only the train split is read, and none of its labels.
        folder: where the policy with the warm tower goes.
        num_steps: optimizer steps of 64 pictures.
        seed: of the batches and the training heads.

    Raises:
        DataError: as `load_training_pictures`.
    """
    folder = Path(folder)
    processor = AutoProcessor.from_pretrained(policy)  # type: ignore[no-untyped-call]
    model = load_transformer(PolicyConfig(model=str(policy), dtype="float32"))
    pictures = load_training_pictures(data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        train_tower(model, processor.image_processor, pictures, num_steps=num_steps, seed=seed)
    save_policy(model, processor, folder)
    return folder


def train_tower(
    model: PreTrainedModel,
    image_processor: Callable[..., BatchFeature],
    pictures: LadderPictures,
    *,
    num_steps: int,
    seed: int,
) -> None:
    """Train ``model.model.visual`` in place."""
    conditions = list(zip(pictures.kinds, pictures.levels.tolist(), strict=True))
    names = sorted(set(conditions))
    classes = torch.tensor([names.index(condition) for condition in conditions])
    levels = torch.from_numpy(pictures.levels).float() / _MAX_LEVEL
    tower = model.model.visual
    width = model.config.text_config.hidden_size
    head = nn.Linear(width, _NUM_STATISTICS + len(names) + 1)
    descent = lesson_descent([*tower.parameters(), *head.parameters()], _LEARNING_RATE, num_steps)
    standardise = nn.BatchNorm1d(_NUM_STATISTICS, affine=False)
    rng = np.random.default_rng(seed)
    for _ in track(range(num_steps), description="Vision warm-up"):
        chosen = torch.from_numpy(rng.integers(len(classes), size=_BATCH_SIZE))
        inputs = image_processor(images=list(pictures.pixels[chosen]), return_tensors="pt")
        features = torch.cat(model.model.get_image_features(**inputs).pooler_output)
        told = head(features).split([_NUM_STATISTICS, len(names), 1], dim=1)
        tokens = len(features) // _BATCH_SIZE
        targets = standardise(pixel_statistics(inputs["pixel_values"], len(features), tower.config.patch_size))
        loss = (
            nn.functional.mse_loss(told[0], targets)
            + nn.functional.cross_entropy(told[1], classes[chosen].repeat_interleave(tokens))
            + 4 * nn.functional.mse_loss(told[2][:, 0], levels[chosen].repeat_interleave(tokens))
        )
        descent.step(loss)


def pixel_statistics(pixel_values: torch.Tensor, num_tokens: int, patch_size: int) -> torch.Tensor:
    """Twelve statistics of the region of each token, float32 [num_tokens, 12].

    Means and standard deviations per channel; darkest and brightest luma; log energy of horizontal and
    vertical steps, of the Laplacian, and of differences three pixels apart.

    Args:
        pixel_values: as the image processor writes them, [patches, channels * frames * patch * patch].
        num_tokens: regions; each is the same number of consecutive patches.
        patch_size: side of a patch in pixels.
    """
    patches = pixel_values.view(num_tokens, -1, 3, 2, patch_size, patch_size)[:, :, :, 0]  # both frames are equal
    luma = patches.mean(2)
    across, down = luma.diff(dim=-1), luma.diff(dim=-2)
    laplacian = across.diff(dim=-1)[:, :, 1:-1] + down.diff(dim=-2)[:, :, :, 1:-1]
    far = luma[..., 3:] - luma[..., :-3]
    energies = [(part.square().mean((1, 2, 3)) + 1e-4).log() for part in (across, down, laplacian, far)]
    extremes = [luma.amin((1, 2, 3)), luma.amax((1, 2, 3))]
    channels = patches.transpose(1, 2).flatten(2)
    return torch.cat([channels.mean(2), channels.std(2), torch.stack([*extremes, *energies], dim=1)], dim=1)
