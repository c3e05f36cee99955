"""What the learner's tests train on."""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from ray_iqa.config.policy import PolicyConfig
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.types import TrainingBatch, TrainingGroup


def make_batch(folder: Path, seed: int = 0) -> TrainingBatch:
    """Five images of unequal size, two to four completions of 1 to 12 tokens, sampled by some other policy."""
    inputs = PolicyInputs(policy_config(folder))
    allowed = np.setdiff1d(np.arange(200, dtype=np.int32), inputs.banned_token_ids)
    groups = []
    for index, size in enumerate([(56, 84), (112, 56), (56, 56), (84, 84), (140, 84)]):
        rng = np.random.default_rng([seed, index])
        image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        path = folder / f"image-{seed}-{index}.png"
        if not path.exists():
            image.save(path)
        lengths = rng.integers(1, 13, 2 + index % 3)
        groups.append(
            TrainingGroup(
                image_path=str(path),
                prompt_token_ids=inputs.encode(image).token_ids.numpy().astype(np.int32),
                completions=tuple(rng.choice(allowed, length) for length in lengths),
                logprobs=tuple(rng.normal(-6.0, 0.5, length).astype(np.float32) for length in lengths),
                advantages=rng.normal(0, 1, len(lengths)).astype(np.float32),
            )
        )
    return TrainingBatch(groups=tuple(groups), policy_version=0)


def first_two(batch: TrainingBatch) -> TrainingBatch:
    return dataclasses.replace(batch, groups=batch.groups[:2])


def policy_config(folder: Path, dtype: str = "float32") -> PolicyConfig:
    return PolicyConfig(model=str(folder), dtype=dtype)
