"""What the vLLM tests share: tiny policies on disk, noise pictures, snapshots packed from a transformers model."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, PreTrainedModel

from ray_iqa.backends.weights.canary import canary_picture
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.data.images import load_image
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.quickstart.tiny_policy import Family, build_tiny_policy
from ray_iqa.types import Canary, LabelledImage, SamplingSpec, TensorSpec, WeightSnapshot

ROLLOUT = VllmRolloutConfig(
    max_model_len=1024, enforce_eager=True, kv_cache_gib=0.25, max_num_seqs=64, num_threads=1, max_tokens=24
)
SPEC = SamplingSpec(num_completions=4, temperature=1.0, top_k=0, top_p=1.0, max_tokens=24, seed=3)
SIZES = [(40, 60), (64, 64), (113, 57), (57, 113), (224, 224), (300, 200), (97, 401), (640, 480)]


def tiny_policy(folder: Path, family: Family) -> PolicyConfig:
    return PolicyConfig(model=str(build_tiny_policy(folder, family)), dtype="float32", max_pixels=320 * 320)


def noise_pictures(folder: Path) -> list[LabelledImage]:
    generator = np.random.default_rng(0)
    images = []
    for index, (width, height) in enumerate(SIZES):
        path = folder / f"{index}.png"
        Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        images.append(labelled(str(index), path))
    return images


def labelled(image_id: str, path: Path) -> LabelledImage:
    return LabelledImage(
        image_id=image_id, image_path=str(path), dataset="noise", mos=3.0, mos_std=None, higher_is_better=True
    )


def load_model(policy: PolicyConfig) -> PreTrainedModel:
    return AutoModelForImageTextToText.from_pretrained(policy.model, dtype=torch.float32).eval()


def perturb(model: PreTrainedModel, seed: int, scale: float = 0.1, only: str = "") -> None:
    """Move every parameter whose name contains ``only`` by ``scale`` times its own spread."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if only in name:
                spread = scale * max(float(parameter.abs().mean()), 0.02)
                parameter += spread * torch.randn(parameter.shape, generator=generator)


def reference_logprobs(
    model: PreTrainedModel, inputs: PolicyInputs, picture: Image.Image | str, token_ids: np.ndarray
) -> np.ndarray:
    """Log-probabilities of an answer by a plain transformers forward pass over the whole vocabulary: [T, V]."""
    prompt = inputs.encode(load_image(picture) if isinstance(picture, str) else picture)
    answer = torch.as_tensor(np.array(token_ids), dtype=torch.int64)
    types = {name: torch.cat([value, torch.zeros_like(answer)])[None] for name, value in prompt.token_types.items()}
    row = torch.cat([prompt.token_ids, answer])[None]
    with torch.no_grad():
        logits = model(input_ids=row, **types, **prompt.vision).logits[0]
    return torch.log_softmax(logits[len(prompt.token_ids) - 1 : -1].float(), dim=-1).numpy()


def pack_snapshot(
    model: PreTrainedModel, version: int, canary: Canary | None = None, dtype: torch.dtype = torch.float32
) -> WeightSnapshot:
    manifest, values = [], []
    for name, parameter in model.named_parameters():
        value = parameter.detach().to(dtype).contiguous().view(-1).view(torch.uint8).numpy()
        kind = str(dtype).removeprefix("torch.")
        manifest.append(TensorSpec(name=name, shape=tuple(parameter.shape), dtype=kind))
        values.append(value.copy())
        values[-1].flags.writeable = False  # as Ray hands it over
    return WeightSnapshot(policy_version=version, manifest=tuple(manifest), values=tuple(values), canary=canary)


def make_canary(model: PreTrainedModel, inputs: PolicyInputs) -> Canary:
    answer = inputs.encode_answer("a sharp picture, 3.5")
    logprobs = reference_logprobs(model, inputs, canary_picture(), answer)[np.arange(len(answer)), answer]
    return Canary(
        prompt_token_ids=inputs.encode(canary_picture()).token_ids.numpy().astype(np.int32),
        token_ids=answer,
        logprobs=logprobs.astype(np.float32),
    )
