from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import ConfigError
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.quickstart.tiny_policy import Family, build_tiny_policy

FAMILIES: tuple[Family, ...] = ("qwen2_5_vl", "qwen3_vl")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {family: build_tiny_policy(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_policy_loads_and_answers_about_a_picture(folders: dict[str, Path], family: Family) -> None:
    model = AutoModelForImageTextToText.from_pretrained(folders[family])
    inputs = PolicyInputs(PolicyConfig(model=str(folders[family])))
    encoded = inputs.encode(Image.fromarray(np.full((56, 56, 3), 90, dtype=np.uint8)))
    answer = model.generate(
        input_ids=encoded.token_ids[None],
        **{name: types[None] for name, types in encoded.token_types.items()},
        **encoded.vision,
        do_sample=False,
        min_new_tokens=4,
        max_new_tokens=4,
    )
    assert model.config.model_type == family
    assert answer.shape == (1, len(encoded.token_ids) + 4)
    assert int((encoded.token_ids == model.config.image_token_id).sum()) == 4  # 2 x 2 tokens of 2 x 2 patches


@pytest.mark.parametrize("family", FAMILIES)
def test_the_file_holds_the_names_of_the_model_in_memory(folders: dict[str, Path], family: Family) -> None:
    model = AutoModelForImageTextToText.from_pretrained(folders[family])
    stored = load_file(folders[family] / "model.safetensors")
    assert stored.keys() == dict(model.named_parameters()).keys()


def test_seed_decides_the_weights(folders: dict[str, Path], tmp_path: Path) -> None:
    state = torch.get_rng_state()
    first = load_file(folders["qwen2_5_vl"] / "model.safetensors")
    again = load_file(build_tiny_policy(tmp_path / "again", seed=0) / "model.safetensors")
    other = load_file(build_tiny_policy(tmp_path / "other", seed=1) / "model.safetensors")
    name = "model.visual.patch_embed.proj.weight"
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first[name], other[name])
    assert torch.equal(state, torch.get_rng_state())


def test_answers_and_prompts_cost_few_tokens(folders: dict[str, Path]) -> None:
    inputs = PolicyInputs(PolicyConfig(model=str(folders["qwen2_5_vl"])))
    text = "<think>looks very blurred</think><answer>3.47</answer>"
    tokens = [inputs.decode([token]) for token in inputs.encode_answer(text)]
    assert tokens[:-1] == [
        *("<think>", "looks", " very", " blurred", "</think>", "<answer>", "3", ".", "4", "7", "</answer>"),
    ]
    assert len(inputs.prompt_token_ids) <= 50  # 480 characters


@pytest.mark.parametrize("text", ["Ein Bild, 12.50 Euro\n\tzwölf ☃", "<answer>{}</think>", "  spaces  inside  "])
def test_any_text_survives_the_tokenizer(folders: dict[str, Path], text: str) -> None:
    inputs = PolicyInputs(PolicyConfig(model=str(folders["qwen2_5_vl"])))
    assert inputs.decode(inputs.encode_answer(text)) == text


def test_unknown_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="qwen2_5_vl, qwen3_vl, qwen3_5, got 'llava'"):
        build_tiny_policy(tmp_path, "llava")  # type: ignore[arg-type]
