"""The size of a policy from its configuration alone, against its files and against published counts."""

from pathlib import Path

import pytest
from safetensors import safe_open
from transformers import Qwen2_5_VLConfig

from ray_iqa.config.learner import DeepSpeedLearnerConfig, LoraConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import ConfigError
from ray_iqa.policy.size import policy_size
from ray_iqa.quickstart.tiny_policy import Family, build_tiny_policy

FULL = DeepSpeedLearnerConfig()


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_parameters_are_those_of_the_weight_file(tmp_path: Path, family: Family) -> None:
    folder = build_tiny_policy(tmp_path / "policy", family)
    with safe_open(folder / "model.safetensors", "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 - not a mapping
    counts = {name: int(_product(shape)) for name, shape in shapes.items()}
    vision = sum(count for name, count in counts.items() if "visual" in name)
    policy = PolicyConfig(model=str(folder))
    size = policy_size(policy, FULL)
    assert (size.num_parameters, size.num_trained) == (sum(counts.values()), sum(counts.values()))
    assert (size.num_layers, size.hidden_size, size.num_kv_heads, size.head_size) == (2, 128, 2, 32)
    tower = policy_size(policy, FULL.model_copy(update={"trained_part": "vision_tower"}))
    assert (tower.num_parameters, tower.num_trained) == (sum(counts.values()), vision)


def _product(shape: list[int]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


def test_a_published_model_has_its_published_number_of_parameters(tmp_path: Path) -> None:
    # Qwen/Qwen2.5-VL-7B-Instruct: config.json and the parameter count of its model card.
    text = {
        "hidden_size": 3584,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "intermediate_size": 18944,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
    }
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584}
    Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False).save_pretrained(tmp_path)
    policy = PolicyConfig(model=str(tmp_path))
    assert policy_size(policy, FULL).num_parameters == 8_292_166_656
    adapters = policy_size(policy, DeepSpeedLearnerConfig(lora=LoraConfig(rank=8, target_modules="all-linear")))
    assert adapters.num_parameters == 8_292_166_656
    # rank 8 adds 8 x (in + out) to every linear layer but the output layer
    language = 28 * 8 * (2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944))
    tower = 32 * 8 * ((1280 + 3840) + (1280 + 1280) + 3 * (1280 + 3420))
    merger = 8 * ((5120 + 5120) + (5120 + 3584))
    assert adapters.num_trained == language + tower + merger


def test_a_model_that_is_nowhere_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not known here"):
        policy_size(PolicyConfig(model=str(tmp_path)), FULL)
