"""Peak memory of a learner update with a vocabulary of 150k, beside the same learner with whole logits.

    python benchmarks/memory.py

One group of 8 completions of 512 tokens each, the tiny Qwen2.5-VL with its vocabulary enlarged to 151,936, float32,
gradient checkpointing. The two differ in the output layer alone: ours scores chunks of tokens and computes their logits
again in the backward pass; the naive one takes logits and log-softmax of all tokens at once, as the published trainer
does (and is spared the entropies, which would cost it two more copies). Each side is a process of its own, several
times; peaks are the kernel's (VmHWM).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from table import report
from transformers import AutoModelForImageTextToText

from ray_iqa.backends.deepspeed.learner import DeepSpeedLearner
from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.policy.logprobs import TokenLogprobs, TokenRows
from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.types import TrainingBatch, TrainingGroup

VOCABULARY = 151_936
SIDES = ("chunked", "naive")
MIB = 2**20


class WholeLogits(TokenLogprobs):
    """Logits and log-probabilities of every token over the whole vocabulary at once."""

    def forward(self, rows: TokenRows) -> tuple[torch.Tensor, torch.Tensor]:
        """See `TokenLogprobs.forward`; the entropies are zeros."""
        logits = self.transformer(**rows.inputs, use_cache=False).logits.float()  # [R, L, vocabulary]
        logprobs = logits.log_softmax(dim=-1).flatten(0, 1)[rows.predictors, rows.targets]
        return logprobs, torch.zeros_like(logprobs)


def main() -> None:
    """Run both sides in processes of their own and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--completions", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=512, help="of a completion")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--side", choices=SIDES, help="run this side here, with the policy at --policy")
    parser.add_argument("--policy", type=Path)
    arguments = parser.parse_args()
    if arguments.side is not None:
        start, peak = update(arguments)
        print(start, peak)
        return
    with tempfile.TemporaryDirectory() as folder:
        policy = build_large_vocabulary(Path(folder))
        peaks = {side: [peak_of(side, policy, arguments) for _ in range(arguments.repeats)] for side in SIDES}
    whole = {side: statistics.median(peak for _, peak in found) for side, found in peaks.items()}
    update_only = {side: statistics.median(peak - start for start, peak in found) for side, found in peaks.items()}
    size = f"vocabulary {VOCABULARY:,}, {arguments.completions} x {arguments.tokens} tokens"
    for name, found in (("the whole process", whole), ("above the loaded learner", update_only)):
        figures = f"{found['chunked'] / MIB:,.0f} / {found['naive'] / MIB:,.0f} MiB"
        claim = f"peak memory of an update, {name}, {size}, against whole logits"
        report(claim, found["chunked"] / found["naive"], "<= 0.25", figures)


def build_large_vocabulary(folder: Path) -> Path:
    """The tiny policy with as many embeddings and logits as Qwen2.5-VL-7B."""
    build_tiny_policy(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    model.resize_token_embeddings(VOCABULARY, mean_resizing=False)
    model.save_pretrained(folder, save_original_format=False)
    return folder


def peak_of(side: str, policy: Path, arguments: argparse.Namespace) -> tuple[int, int]:
    """Bytes of a fresh process before and at the peak of its update."""
    sizes = ["--completions", str(arguments.completions), "--tokens", str(arguments.tokens)]
    command = [sys.executable, __file__, "--side", side, "--policy", str(policy), *sizes]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    start, peak = output.splitlines()[-1].split()
    return int(start), int(peak)


def update(arguments: argparse.Namespace) -> tuple[int, int]:
    """One update in this process; bytes before it, and at its peak."""
    os.environ |= {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29512",
    }
    config = DeepSpeedLearnerConfig(zero_stage=0, kl_coef=0.0, num_threads=2)
    policy = PolicyConfig(model=str(arguments.policy), dtype="float32")
    learner = DeepSpeedLearner(policy, config, num_steps=10, seed=0)
    if arguments.side == "naive":
        learner.engine.scorer.__class__ = WholeLogits  # the engine wraps this very module
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (56, 56, 3), dtype=np.uint8))
    image.save(path := arguments.policy / "picture.png")
    group = TrainingGroup(
        image_path=str(path),
        prompt_token_ids=learner.inputs.encode(image).token_ids.numpy().astype(np.int32),
        completions=tuple(
            rng.integers(20, 200, arguments.tokens, dtype=np.int32) for _ in range(arguments.completions)
        ),
        logprobs=None,
        advantages=rng.normal(size=arguments.completions).astype(np.float32),
    )
    start = process_memory("VmRSS")
    metrics = learner.update(TrainingBatch(groups=(group,), policy_version=0)).metrics
    print(
        f"{arguments.side}: {metrics['learner/seconds']:.1f} s, norm {metrics['policy/grad_norm']:.6f}", file=sys.stderr
    )
    return start, process_memory("VmHWM")


def process_memory(name: str) -> int:
    """Bytes of this process as the kernel counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


if __name__ == "__main__":
    main()
