"""A whole training step beside TRL's GRPOTrainer that samples with Hugging Face `generate` and its KV cache.

    python benchmarks/whole_step.py

Ours: sample, advantages, update, snapshot with its canary, install. TRL's: `training_step`, which samples, scores and
computes the gradients, then clipping and AdamW; its sampler is the policy itself, so it has nothing to publish. Both
see pictures of 400 image tokens, draw K = 8 completions of exactly as many tokens (whatever could end one is never
drawn), take a sum of token ids for a reward, and run in float32 on the same threads, in one process each, in turns. TRL
gets its pictures decoded.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from learner import PIXELS_PER_TOKEN, RENDEZVOUS, TOKENS_PER_SIDE, other_process, trl_virtualenv
from PIL import Image
from rollout import noise_pictures
from table import report

from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.backends.deepspeed.learner import DeepSpeedLearner
from ray_iqa.backends.vllm.sampler import VllmSampler
from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.grpo.advantages import group_relative_advantages
from ray_iqa.grpo.batch import build_training_batch
from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.types import LabelledImage, RolloutGroup, SamplingSpec, TrainingBatch

Seconds = dict[str, float]  # by part; "step" is all of it


def main() -> None:
    """Report the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="qwen2_5_vl", choices=tuple(PIXELS_PER_TOKEN))
    parser.add_argument(
        "--images", type=int, default=8, help="B; with few, vLLM's Python per decoding step is not shared"
    )
    parser.add_argument("--completions", type=int, default=8, help="K, per image")
    parser.add_argument("--tokens", type=int, default=100, help="of a completion")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    python = trl_virtualenv()
    if python is None:
        sys.exit("whole_step: needs TRL beside it")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        policy = PolicyConfig(model=str(build_tiny_policy(folder / "policy", arguments.family)), dtype="float32")
        side = TOKENS_PER_SIDE * PIXELS_PER_TOKEN[arguments.family]
        images = noise_pictures(folder, arguments.images, start=0, side=side)
        step = our_step(policy, images, arguments)
        script = Path(__file__).with_name("whole_step_trl.py")
        with other_process([python, script, policy.model, folder / "task.json"]) as trl_step:
            ours, trl = in_turns(step, trl_step, arguments.repeats)
    parts = ", ".join(f"{part} {seconds:.2f}" for part, seconds in ours.items() if part != "step")
    shape = f"{arguments.images} images x {arguments.completions} x {arguments.tokens} tokens"
    report(
        f"whole step, {arguments.family}, {shape}, against TRL's GRPOTrainer with generate",
        trl / ours["step"],
        ">= 5",
        f"{ours['step']:.2f} / {trl:.2f} s, of ours {parts}",
    )


def in_turns(
    step: Callable[[], Seconds], trl_step: Callable[[], tuple[float, float]], repeats: int
) -> tuple[Seconds, float]:
    """Medians; the first step of each is not counted."""
    ours, trl = [], []
    for _ in range(repeats + 1):
        ours.append(step())
        trl.append(trl_step()[0])
    return {part: statistics.median(one[part] for one in ours[1:]) for part in ours[0]}, statistics.median(trl[1:])


def our_step(policy: PolicyConfig, images: list[LabelledImage], arguments: argparse.Namespace) -> Callable[[], Seconds]:
    """A step of our loop with a fresh seed; also writes what TRL's side has to do into task.json."""
    os.environ |= RENDEZVOUS
    settings = DeepSpeedLearnerConfig(
        zero_stage=0, gradient_checkpointing=False, kl_coef=0.0, num_threads=arguments.threads
    )
    learner = DeepSpeedLearner(policy, settings, num_steps=1000, seed=0)
    rollout = VllmRolloutConfig(
        max_model_len=1024, kv_cache_gib=0.5, max_num_seqs=64, enforce_eager=True, num_threads=arguments.threads
    )
    sampler = VllmSampler(policy, rollout)
    never_drawn = (*sampler.inputs.banned_token_ids, *sampler.inputs.stop_token_ids)
    sampler.inputs.banned_token_ids, sampler.inputs.stop_token_ids = never_drawn, ()
    prompt = prompt_by_id(policy.prompt)
    task = {
        "system": prompt.system,
        "text": prompt.text,
        "images": [image.image_path for image in images],
        "prompt_tokens": len(learner.inputs.encode(Image.open(images[0].image_path)).token_ids),
        "never_drawn": never_drawn,
        "completions": arguments.completions,
        "tokens": arguments.tokens,
        "threads": arguments.threads,
    }
    Path(images[0].image_path).with_name("task.json").write_text(json.dumps(task))

    def step() -> Seconds:
        spec = SamplingSpec(
            num_completions=arguments.completions,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_tokens=arguments.tokens,
            seed=learner.policy_version,
        )
        marks = [time.perf_counter()]
        groups = sampler.sample(images, spec)
        marks.append(time.perf_counter())
        learner.update(batch_of(groups))
        marks.append(time.perf_counter())
        snapshot = learner.snapshot(512 * 2**20)
        assert snapshot is not None
        sampler.weights.install(snapshot)
        marks.append(time.perf_counter())
        drawn = {len(completion.token_ids) for group in groups for completion in group.completions}
        assert drawn == {arguments.tokens}, drawn
        sampling, update, publish = np.diff(marks)
        return {"sampling": sampling, "update": update, "publish": publish, "step": marks[-1] - marks[0]}

    return step


def batch_of(groups: list[RolloutGroup]) -> TrainingBatch:
    """Advantages of sums of token ids."""
    rewards = np.array(
        [[int(completion.token_ids.sum()) % 5 for completion in group.completions] for group in groups], np.float32
    )
    trainable = np.ones(rewards.shape, np.bool_)
    return build_training_batch(groups, group_relative_advantages(rewards, trainable), trainable)


if __name__ == "__main__":
    main()
