"""Sampling through our vLLM sampler beside Hugging Face `generate`, with and without its KV cache.

    python benchmarks/rollout.py [--side 224] [--full-images 0]

The published trainer samples with `generate`, whose KV cache is off while gradient checkpointing is on. All three draw
K completions for the same pictures of 400 tokens (no padding) from the same tiny policy with random weights, in
float32, in one process, on the same number of threads; `generate` gets all pictures and completions in one batch.
Reading, preprocessing and decoding count. Every repeat takes pictures never seen before, so that no cache of vLLM
helps. A side that takes more than a minute is repeated once. Then ours and the KV cache at full size.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from table import report
from transformers import AutoModelForImageTextToText

from ray_iqa.backends.vllm.sampler import VllmSampler
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.data.images import load_image
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.types import LabelledImage, SamplingSpec

PICTURE_SIDE = 560  # 20 x 20 tokens of Qwen2.5-VL
LONG_S = 60.0
NAMES = {"cached": "with KV cache", "uncached": "without"}
BARS = {"cached": ">= 4", "uncached": ">= 10"}
Draw = Callable[[Sequence[LabelledImage]], int]


def noise_pictures(folder: Path, count: int, start: int, side: int = PICTURE_SIDE) -> list[LabelledImage]:
    """Pictures ``start`` to ``start + count``; each number is another picture."""
    images = []
    for index in range(start, start + count):
        path = folder / f"{index}.png"
        pixels = np.random.default_rng(index).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        images.append(
            LabelledImage(
                image_id=str(index),
                image_path=str(path),
                dataset="noise",
                mos=3.0,
                mos_std=None,
                higher_is_better=True,
            )
        )
    return images


def generate(
    model: Any,  # noqa: ANN401 - model classes differ by family and are not typed
    inputs: PolicyInputs,
    images: Sequence[LabelledImage],
    spec: SamplingSpec,
    use_cache: bool,
) -> int:
    """Hugging Face `generate` on the whole batch; the number of tokens drawn up to the end of each turn."""
    prompts = [inputs.encode(load_image(image.image_path)) for image in images]
    token_ids = torch.stack([prompt.token_ids for prompt in prompts])
    drawn = model.generate(
        input_ids=token_ids,
        attention_mask=torch.ones_like(token_ids),
        **{name: torch.stack([prompt.token_types[name] for prompt in prompts]) for name in prompts[0].token_types},
        **{name: torch.cat([prompt.vision[name] for prompt in prompts]) for name in prompts[0].vision},
        do_sample=True,
        temperature=spec.temperature,
        top_k=spec.top_k,
        top_p=spec.top_p,
        max_new_tokens=spec.max_tokens,
        num_return_sequences=spec.num_completions,
        suppress_tokens=list(inputs.banned_token_ids),
        eos_token_id=list(inputs.stop_token_ids),
        pad_token_id=inputs.stop_token_ids[0],
        use_cache=use_cache,
    )[:, token_ids.shape[1] :]
    stopped = torch.isin(drawn, torch.tensor(inputs.stop_token_ids))
    for row in drawn:
        inputs.decode(row.tolist())
    return int((~stopped).sum() + stopped.any(dim=1).sum())


def sample(sampler: VllmSampler, images: Sequence[LabelledImage], spec: SamplingSpec) -> int:
    """Our sampler; the number of tokens drawn."""
    groups = sampler.sample(images, spec)
    return sum(len(completion.token_ids) for group in groups for completion in group.completions)


def tokens_per_s(sides: dict[str, Draw], batches: Sequence[Sequence[LabelledImage]]) -> dict[str, float]:
    """Median over ``batches`` for each side; they take turns, and the first batch is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    too_long = set()
    for number, batch in enumerate(batches):
        for name, draw in sides.items():
            if name in too_long and number > 1:
                continue
            began = time.perf_counter()
            tokens = draw(batch)
            seconds = time.perf_counter() - began
            rates[name].append(tokens / seconds)
            if seconds > LONG_S:
                too_long.add(name)
    return {name: statistics.median(of_one[1:]) for name, of_one in rates.items()}


def main() -> None:
    """Build the policy, time the three, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="qwen2_5_vl", choices=("qwen2_5_vl", "qwen3_vl"))
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--full-images", type=int, default=32, help="0 leaves the full size out")
    parser.add_argument("--side", type=int, default=PICTURE_SIDE, help="of a picture, pixels")
    parser.add_argument("--completions", type=int, default=8, help="K, per image")
    parser.add_argument("--tokens", type=int, default=64, help="longest completion")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        policy = PolicyConfig(model=str(build_tiny_policy(folder / "policy", arguments.family)), dtype="float32")
        policy = policy.model_copy(update={"max_pixels": arguments.side**2})
        measure(policy, folder, arguments)


def measure(policy: PolicyConfig, folder: Path, arguments: argparse.Namespace) -> None:
    """Report our sampler against `generate` with and without KV cache, then with it at full size."""
    spec = SamplingSpec(
        num_completions=arguments.completions, temperature=1.0, top_k=0, top_p=1.0, max_tokens=arguments.tokens, seed=0
    )
    rollout = VllmRolloutConfig(
        max_model_len=1024,
        kv_cache_gib=1.0,
        max_num_seqs=max(arguments.images, arguments.full_images) * arguments.completions,
        enforce_eager=True,
        num_threads=arguments.threads,
    )
    sampler = VllmSampler(policy, rollout)
    inputs = PolicyInputs(policy)
    model = AutoModelForImageTextToText.from_pretrained(policy.model, dtype=torch.float32).eval()
    sides: dict[str, Draw] = {
        "ours": lambda batch: sample(sampler, batch, spec),
        "cached": lambda batch: generate(model, inputs, batch, spec, use_cache=True),
        "uncached": lambda batch: generate(model, inputs, batch, spec, use_cache=False),
    }
    taken = 0
    for count, compared in ((arguments.images, ("cached", "uncached")), (arguments.full_images, ("cached",))):
        starts = range(taken, taken + count * (arguments.repeats + 1), count or 1)
        batches = [noise_pictures(folder, count, start, arguments.side) for start in starts]
        taken += count * (arguments.repeats + 1)
        if count == 0:
            continue
        rates = tokens_per_s({name: sides[name] for name in ("ours", *compared)}, batches)
        size = f"{count} pictures of {arguments.side}^2, K = {arguments.completions}, {arguments.tokens} tokens"
        for name in compared:
            claim = f"sampling, {arguments.family}, {size}, against generate {NAMES[name]}"
            report(
                claim, rates["ours"] / rates[name], BARS[name], f"{rates['ours']:,.0f} / {rates[name]:,.0f} tokens/s"
            )
    sampler.close()


if __name__ == "__main__":
    main()
