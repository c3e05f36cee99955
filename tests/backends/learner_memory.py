"""Run as a program: ``python learner_memory.py FOLDER HIDDEN`` prints memory of a learner, computed and measured.

The policy in FOLDER gets a language model of eight layers with HIDDEN units and all its weights in float32.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig

from actors.cluster.engine_start import engine_start

with engine_start():  # as an actor does
    from ray_iqa.backends.deepspeed.learner import DeepSpeedLearner
from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.policy.size import policy_size
from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.runs.memory import learner_memory
from ray_iqa.types import TrainingBatch, TrainingGroup

TOKENS = 64
COMPLETIONS = 6


def build(folder: Path, hidden: int) -> None:
    """A policy of the demo's kind, as large as asked."""
    build_tiny_policy(folder)
    values = Qwen2_5_VLConfig.from_pretrained(folder).to_dict()
    values["text_config"] |= {
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": 8,
        "num_attention_heads": hidden // 32,
        "num_key_value_heads": hidden // 32,
        "layer_types": None,
    }
    values["vision_config"]["out_hidden_size"] = hidden
    model = AutoModelForImageTextToText.from_config(Qwen2_5_VLConfig(**values), dtype=torch.float32)
    model.save_pretrained(folder, save_original_format=False)


def batch(folder: Path, policy: PolicyConfig) -> TrainingBatch:
    """One group."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (56, 56, 3), dtype=np.uint8))
    image.save(folder / "picture.png")
    group = TrainingGroup(
        image_path=str(folder / "picture.png"),
        prompt_token_ids=PolicyInputs(policy).encode(image).token_ids.numpy().astype(np.int32),
        completions=tuple(rng.integers(20, 200, TOKENS, dtype=np.int32) for _ in range(COMPLETIONS)),
        logprobs=None,
        advantages=rng.normal(size=COMPLETIONS).astype(np.float32),
    )
    return TrainingBatch(groups=(group,), policy_version=0)


def main() -> None:
    """Two updates and a checkpoint."""
    folder, hidden = Path(sys.argv[1]), int(sys.argv[2])
    if not (folder / "config.json").exists():
        build(folder, hidden)
        return  # building takes memory too: measured in a process of its own
    policy = PolicyConfig(model=str(folder), dtype="float32")
    config = DeepSpeedLearnerConfig(zero_stage=0, kl_coef=0.04, max_tokens_per_micro_batch=512)
    learner = DeepSpeedLearner(policy, config, num_steps=10, seed=0)
    for _ in range(2):
        learner.update(batch(folder, policy))
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    learner.save(folder / "checkpoint")
    found = {
        "parameters": policy_size(policy, config).num_parameters,
        "computed": learner_memory(policy_size(policy, config), policy, config).peak,
        "measured": int(status["VmHWM"].split()[0]) * 1024,
        "checkpoint": sum(path.stat().st_size for path in (folder / "checkpoint").rglob("*") if path.is_file()),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    os.environ |= {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29517",
    }
    main()
