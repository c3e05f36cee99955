"""A LoRA policy from a real DeepSpeed rank to a real vLLM worker: adapters run beside the base, or merged into it."""

from pathlib import Path

import numpy as np
import peft
import pytest
import ray
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

from actors.training.learner import LearnerActor, LearnerGroup
from actors.training.rollout_worker import RolloutActor
from ray_iqa.config.learner import DeepSpeedLearnerConfig, LoraConfig, WeightTransferConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.runs.checkpoints import CheckpointStore
from ray_iqa.types import Progress, TrainingBatch, TrainingGroup

ROLLOUT = VllmRolloutConfig(max_model_len=512, kv_cache_gib=0.25, max_num_seqs=16, num_threads=1, enforce_eager=True)
LEARNER = DeepSpeedLearnerConfig(
    lora=LoraConfig(rank=4, alpha=8), zero_stage=2, kl_coef=0.0, learning_rate=1e-2, num_threads=1
)


@pytest.mark.usefixtures("joined_ray")
@pytest.mark.parametrize("merged", [False, True])
def test_workers_follow_a_lora_policy_of_which_adapters_travel(tmp_path: Path, merged: bool) -> None:
    """The canary is an answer of the policy: the engine finds the learner's log-probabilities to a thousandth."""
    policy = PolicyConfig(model=str(build_tiny_policy(tmp_path / "policy")), dtype="float32")
    picture = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (56, 84, 3), dtype=np.uint8)).save(picture)
    batch = _batch(PolicyInputs(policy), picture)
    weights, lora = WeightTransferConfig(), LEARNER.lora.model_copy(update={"merge_for_sampling": merged})

    store = CheckpointStore(str(tmp_path), 1)
    config = LEARNER.model_copy(update={"lora": lora})
    learner = LearnerGroup([LearnerActor.remote()], policy, config, store, num_steps=4, seed=0)
    worker = RolloutActor.remote(policy, ROLLOUT, weights, weights.adapters_alone(lora))
    ray.get(worker.start.remote())
    learner.wait_ready()
    published = []
    for version in 1, 2:
        learner.update(batch)
        snapshot = learner.snapshot(weights)
        receipt = ray.get(worker.install.remote(snapshot))
        assert receipt.policy_version == version
        assert receipt.canary_max_abs < 1e-3
        published.append(ray.get(snapshot))
    learner.export(str(tmp_path / "export"), Progress(step=2, policy_version=2))
    learner.close()
    ray.kill(worker)

    second = published[1]
    names = [spec.name.rpartition(".")[2] for spec in second.manifest]
    assert (set(names) == {"lora_A", "lora_B"}) == (not merged)
    ups = [value for name, value in zip(names, second.values, strict=True) if name == "lora_B"]
    assert all(value.view(np.float32).any() for value in ups)

    base = AutoModelForImageTextToText.from_pretrained(policy.model, dtype=torch.float32)
    adapted = peft.PeftModel.from_pretrained(base, tmp_path / "export" / "adapter").merge_and_unload().state_dict()
    merged = AutoModelForImageTextToText.from_pretrained(tmp_path / "export", dtype=torch.float32).state_dict()
    torch.testing.assert_close(adapted, merged, rtol=0, atol=1e-6)
    initial = AutoModelForImageTextToText.from_pretrained(policy.model, dtype=torch.float32).state_dict()
    assert any(not value.equal(initial[name]) for name, value in merged.items())


def _batch(inputs: PolicyInputs, picture: Path) -> TrainingBatch:
    answer = inputs.encode_answer("a sharp picture, 3.5")
    group = TrainingGroup(
        image_path=str(picture),
        prompt_token_ids=inputs.encode(Image.open(picture)).token_ids.numpy().astype(np.int32),
        completions=(answer,),
        logprobs=None,
        advantages=np.ones(1, np.float32),
    )
    return TrainingBatch(groups=(group,), policy_version=0)
