"""Sampling, update and snapshot of a policy with random weights in the shape of a real one, on one GPU.

    python benchmarks/gpu.py --shape 3b
    python benchmarks/gpu.py --shape 7b --lora     # training all of it takes 150 GB

Engine and learner are the product's own, in bfloat16, one after the other in processes of their own. Weights are random
and the tokenizer is the tiny one, beside a vocabulary of full size; answers therefore run to the longest length. The
update trains with ZeRO-2 on one rank, 18 bytes per trained parameter, first with each prompt run once per group, then
once per completion. MFU counts the operations of matrix products that a plain step cannot do without: 2 forward, 2 for
gradients of inputs and, if trained, 2 for those of weights, per parameter and token (or patch) that meets it; neither
attention nor what gradient checkpointing computes again. Prints one Markdown row per part.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rollout import PICTURE_SIDE, noise_pictures
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig

from ray_iqa.backends.profiling import traced
from ray_iqa.config.learner import DeepSpeedLearnerConfig, LoraConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.data.images import load_image
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.types import LabelledImage, SamplingSpec, TrainingBatch, TrainingGroup

# Of Qwen2.5-VL: hidden size, layers, heads, key-value heads, MLP width, vocabulary, tied embeddings.
SHAPES = {"3b": (2048, 36, 16, 2, 11008, 151_936, True), "7b": (3584, 28, 28, 4, 18944, 152_064, False)}
PARTS = ("sampling", "learning", "plain")


def main() -> None:
    """Build the policy, run each part in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=tuple(SHAPES), default="3b")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--completions", type=int, default=8, help="K, per image")
    parser.add_argument("--tokens", type=int, default=256, help="of a completion")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--lora", action="store_true", help="train adapters of rank 64 instead of everything")
    parser.add_argument("--eager", action="store_true", help="sampling without compilation and CUDA graphs")
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="of the GPU, dense bfloat16")
    parser.add_argument("--profile", type=Path, help="write a trace of one more update here, and print its table")
    parser.add_argument("--part", choices=PARTS, help="run this part here, with the policy at --policy")
    parser.add_argument("--policy", type=Path)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("gpu: this benchmark needs a CUDA device")
    if arguments.part is not None:
        policy = PolicyConfig(model=str(arguments.policy), max_pixels=PICTURE_SIDE**2)
        (sampling if arguments.part == "sampling" else learning)(policy, arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), arguments.shape)
        for part in PARTS:
            command = [sys.executable, __file__, *sys.argv[1:], "--part", part, "--policy", folder]
            subprocess.run(command, check=True)


def build(folder: Path, shape: str) -> None:
    """A folder like the tiny policy's with a model of full size."""
    hidden, layers, heads, kv_heads, width, vocabulary, tied = SHAPES[shape]
    build_tiny_policy(folder)
    values: dict[str, Any] = Qwen2_5_VLConfig.from_pretrained(folder).to_dict()
    values["text_config"] |= {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": width,
        "vocab_size": vocabulary,
        "layer_types": None,  # as many as there are layers
        "initializer_range": 0.02,
        "tie_word_embeddings": tied,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    }
    values["vision_config"] |= {
        "depth": 32,
        "hidden_size": 1280,
        "num_heads": 16,
        "intermediate_size": 3420,
        "out_hidden_size": hidden,
        "fullatt_block_indexes": [7, 15, 23, 31],
    }
    values["tie_word_embeddings"] = tied
    with torch.device("cuda"):
        model = AutoModelForImageTextToText.from_config(Qwen2_5_VLConfig(**values), dtype=torch.bfloat16)
    model.save_pretrained(folder, save_original_format=False)


def sampling(policy: PolicyConfig, arguments: argparse.Namespace) -> None:
    """Tokens per second of our sampler on pictures never seen before."""
    from ray_iqa.backends.vllm.sampler import VllmSampler

    sampler = VllmSampler(policy, VllmRolloutConfig(max_model_len=2048, enforce_eager=arguments.eager))
    spec = SamplingSpec(
        num_completions=arguments.completions, temperature=1.0, top_k=0, top_p=1.0, max_tokens=arguments.tokens, seed=0
    )
    rates: list[float] = []
    for repeat in range(arguments.repeats + 1):  # the first one compiles
        images = noise_pictures(arguments.policy, arguments.images, repeat * arguments.images)
        began = time.perf_counter()
        groups = sampler.sample(images, spec)
        tokens = sum(len(completion.token_ids) for group in groups for completion in group.completions)
        rates.append(tokens / (time.perf_counter() - began))
    print(f"| {arguments.shape}, sampling | {statistics.median(rates[1:]):,.0f} tokens/s |")


def learning(policy: PolicyConfig, arguments: argparse.Namespace) -> None:
    """Tokens per second and MFU of an update, seconds of a snapshot, peak GPU memory."""
    os.environ |= {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29513",
    }
    from ray_iqa.backends.deepspeed.learner import DeepSpeedLearner

    is_plain = arguments.part == "plain"
    config = DeepSpeedLearnerConfig(
        zero_stage=2, kl_coef=0.0, share_prefix=not is_plain, lora=LoraConfig() if arguments.lora else None
    )
    learner = DeepSpeedLearner(policy, config, num_steps=1000, seed=0)
    images = noise_pictures(arguments.policy, arguments.images, 0)
    batch = random_batch(learner.inputs, images, arguments)
    updates = [learner.update(batch).metrics for _ in range(arguments.repeats + 1)][1:]
    seconds = statistics.median(update["learner/seconds"] for update in updates)
    name = f"{arguments.shape}{', LoRA' * arguments.lora}, update{', plain path' * is_plain}"
    peak = torch.cuda.max_memory_allocated() / 2**30
    if arguments.profile is not None and not is_plain:
        with traced(arguments.profile):
            learner.update(batch)
    needed = step_operations(learner.engine.scorer.transformer, batch, trains_all=not arguments.lora)
    print(
        f"| {name} | {seconds:.2f} s, {updates[0]['learner/tokens_per_second']:,.0f} tokens/s, "
        f"MFU {needed / seconds / (arguments.peak_tflops * 1e12):.1%}, peak {peak:.1f} GiB |"
    )
    if not is_plain:
        first, *later = [timed_snapshot(learner) for _ in range(arguments.repeats)]
        again = statistics.median(seconds for seconds, _ in later)
        rate = first[1] / 1e9 / again
        print(f"| {name}, snapshot into host memory | {again:.2f} s, {rate:.1f} GB/s; the first {first[0]:.2f} s |")


def timed_snapshot(learner: Any) -> tuple[float, int]:  # noqa: ANN401 - imported late
    """Seconds and bytes of a snapshot, canary included."""
    began = time.perf_counter()
    snapshot = learner.snapshot(512 * 2**20)
    return time.perf_counter() - began, sum(value.nbytes for value in snapshot.values)


def random_batch(inputs: PolicyInputs, images: Sequence[LabelledImage], arguments: argparse.Namespace) -> TrainingBatch:
    """Completions of random tokens, all of the longest length."""
    rng = np.random.default_rng(0)
    groups = tuple(
        TrainingGroup(
            image_path=image.image_path,
            prompt_token_ids=inputs.encode(load_image(image.image_path)).token_ids.numpy().astype(np.int32),
            completions=tuple(rng.integers(20, 200, (arguments.completions, arguments.tokens), dtype=np.int32)),
            logprobs=None,
            advantages=rng.normal(size=arguments.completions).astype(np.float32),
        )
        for image in images
    )
    return TrainingBatch(groups=groups, policy_version=0)


def step_operations(model: Any, batch: TrainingBatch, *, trains_all: bool) -> float:  # noqa: ANN401 - differs by family
    """Floating-point operations of matrix products in a step that runs each prompt once."""
    answer_tokens = sum(len(tokens) for group in batch.groups for tokens in group.completions)
    tokens = answer_tokens + sum(len(group.prompt_token_ids) for group in batch.groups)
    patches = len(batch.groups) * PICTURE_SIDE**2 // 14**2
    layers = sum(parameter.numel() for parameter in model.model.language_model.layers.parameters())
    vision = sum(parameter.numel() for parameter in model.model.visual.parameters())
    head = model.get_output_embeddings().weight.numel()
    return (6 if trains_all else 4) * float(layers * tokens + vision * patches + head * answer_tokens)


if __name__ == "__main__":
    main()
