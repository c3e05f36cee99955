"""The CLIP of the demonstration."""

from pathlib import Path

import numpy as np
import torch

from ray_iqa.rali.fit.small_clip import build_small_clip, warm_up
from ray_iqa.rali.model.encoders import Clip

IMAGES = [np.random.default_rng(number).integers(0, 256, (56, 56, 3), dtype=np.uint8) for number in range(8)]
TEXTS = ["looks clean", "looks very noisy"] * 4


def test_it_is_small(small_clip: Clip) -> None:
    tower = sum(parameter.numel() for parameter in small_clip.image.tower.parameters())
    assert tower < 500_000
    assert sum(parameter.numel() for parameter in small_clip.model.parameters()) < 2_200_000
    assert small_clip.text.context_length == 77


def test_warm_up_trains_both_towers_and_repeats_with_its_seed(tmp_path: Path) -> None:
    def warm(seed: int) -> tuple[list[float], dict[str, torch.Tensor]]:
        clip = build_small_clip(tmp_path)
        before = {name: tensor.clone() for name, tensor in clip.model.state_dict().items()}
        losses = warm_up(clip, IMAGES, TEXTS, num_steps=3, batch_size=6, seed=seed)
        after = clip.model.state_dict()
        for name in ("visual.conv1.weight", "text_projection", "token_embedding.weight"):
            assert not torch.equal(before[name], after[name])
        return losses, after

    (losses, after), (again, after_again) = warm(0), warm(0)
    assert losses == again
    assert all(torch.equal(tensor, after_again[name]) for name, tensor in after.items())
    assert warm(1)[0] != losses
