from pathlib import Path

import pytest

from ray_iqa.config.learner import DeepSpeedLearnerConfig, LoraConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import ConfigError
from ray_iqa.policy.loading import load_policy, load_reference, why_prompts_run_alone
from ray_iqa.policy.logprobs import TokenLogprobs
from ray_iqa.quickstart.tiny_policy import build_tiny_policy


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> PolicyConfig:
    return PolicyConfig(model=str(build_tiny_policy(tmp_path_factory.mktemp("policy"), family="qwen3_vl")))


def trained(policy: PolicyConfig, **settings: object) -> set[str]:
    scorer = load_policy(policy, DeepSpeedLearnerConfig(**settings))
    return {name for name, parameter in scorer.model.named_parameters() if parameter.requires_grad}


def test_a_part_can_be_trained_alone(policy: PolicyConfig) -> None:
    everything = trained(policy)
    text, vision = (trained(policy, trained_part=part) for part in ("language_model", "vision_tower"))
    assert text
    assert vision
    assert text | vision == everything
    assert all(".visual." in name for name in vision)
    assert not any(".visual." in name for name in text)


def test_adapters_are_all_that_is_trained(policy: PolicyConfig) -> None:
    adapters = trained(policy, lora=LoraConfig(rank=2, alpha=4))
    assert adapters
    assert all(".lora_A." in name or ".lora_B." in name for name in adapters)
    text, vision = (
        trained(policy, lora=LoraConfig(rank=2, alpha=4), trained_part=part)
        for part in ("language_model", "vision_tower")
    )
    assert text == {name for name in adapters if ".visual." not in name}
    assert vision == adapters - text


def test_the_reference_is_frozen_and_weights_have_the_policy_dtype(policy: PolicyConfig) -> None:
    reference = load_reference(policy)
    assert not any(parameter.requires_grad for parameter in reference.parameters())
    assert {str(parameter.dtype) for parameter in reference.parameters()} == {"torch.bfloat16"}


def test_a_family_that_cannot_share_prompts_says_so(policy: PolicyConfig) -> None:
    scorer = load_reference(policy)
    assert why_prompts_run_alone(scorer) is None
    scorer.transformer.config.model_type = "llava"
    scorer = TokenLogprobs(scorer.transformer)
    assert "got model type llava" in (why_prompts_run_alone(scorer) or "")


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"policy\.model must be .*image-text-to-text"):
        load_policy(PolicyConfig(model=str(tmp_path)), DeepSpeedLearnerConfig())
