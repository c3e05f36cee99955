from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import AutoProcessor

from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import ConfigError
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.quickstart.tiny_policy import build_tiny_policy

PATCH = {"qwen2_5_vl": 14, "qwen3_vl": 16}


@pytest.fixture(scope="module", params=sorted(PATCH))
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return str(build_tiny_policy(tmp_path_factory.mktemp("policy"), family=request.param)), request.param


@pytest.fixture(scope="module")
def inputs(policy: tuple[str, str]) -> PolicyInputs:
    return PolicyInputs(PolicyConfig(model=policy[0]))


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(("minimum", "maximum"), [(3136, 10_000), (40_000, 50_000), (3136, 1_003_520)])
def test_pixel_limits_reach_the_image_processor(policy: tuple[str, str], minimum: int, maximum: int) -> None:
    folder, family = policy
    inputs = PolicyInputs(PolicyConfig(model=folder, min_pixels=minimum, max_pixels=maximum))
    grid = inputs.encode(noise(200, 150)).vision["image_grid_thw"]
    pixels = int(grid.prod()) * PATCH[family] ** 2
    assert minimum <= pixels <= maximum
    if maximum > 1_000_000:  # within the limits an image keeps its size, up to a whole number of merged patches
        assert pixels == pytest.approx(200 * 150, rel=0.15)
    assert inputs.mm_processor_kwargs == {"size": {"shortest_edge": minimum, "longest_edge": maximum}}


def test_the_prompt_asks_the_question_about_one_image(inputs: PolicyInputs) -> None:
    prompt = prompt_by_id("thinking")
    text = inputs.decode(inputs.prompt_token_ids)
    assert prompt.text in text
    assert prompt.system in text
    assert text.endswith("assistant\n")


def test_encoding_expands_the_one_image_placeholder(inputs: PolicyInputs) -> None:
    encoded = inputs.encode(noise(84, 56))
    expanded, placed = encoded.token_ids.tolist(), list(inputs.prompt_token_ids)
    types = encoded.token_types["mm_token_type_ids"].tolist()
    num_image_tokens = int(encoded.vision["image_grid_thw"].prod()) // 4
    assert sum(types) == num_image_tokens > 1
    first = types.index(1)
    assert expanded[:first] + expanded[first : first + 1] + expanded[first + num_image_tokens :] == placed


def test_vision_tokens_are_banned_and_stop_tokens_are_not(inputs: PolicyInputs) -> None:
    banned = inputs.banned_token_ids
    pad = inputs.encode(noise(56, 56)).token_ids[inputs.encode(noise(56, 56)).token_types["mm_token_type_ids"] == 1][0]
    assert int(pad) in banned
    assert not set(banned) & set(inputs.stop_token_ids)
    assert inputs.decode(banned) == ""
    assert not set(banned) & set(inputs.encode_answer("<think>dull</think><answer>3.25</answer>").tolist())


def test_an_answer_ends_its_turn_and_decodes_to_itself(inputs: PolicyInputs) -> None:
    text = "<think>very soft edges</think><answer>1.75</answer>"
    token_ids = inputs.encode_answer(text)
    assert token_ids.dtype == np.int32
    assert token_ids[-1] == inputs.stop_token_ids[0]
    assert inputs.decode(token_ids) == text


def test_saved_inputs_keep_their_pixel_limits(policy: tuple[str, str], tmp_path: Path) -> None:
    limited = PolicyInputs(PolicyConfig(model=policy[0], min_pixels=40_000, max_pixels=50_000))
    limited.save(tmp_path)
    saved = AutoProcessor.from_pretrained(tmp_path)
    grid = saved.image_processor(images=[noise(90, 60)], return_tensors="pt")["image_grid_thw"]
    assert grid.equal(limited.encode(noise(90, 60)).vision["image_grid_thw"])
    assert not grid.equal(PolicyInputs(PolicyConfig(model=policy[0])).encode(noise(90, 60)).vision["image_grid_thw"])
    assert saved.chat_template


def test_a_missing_model_is_named() -> None:
    with pytest.raises(ConfigError, match=r"policy.model must be .* got '/nowhere/policy'"):
        PolicyInputs(PolicyConfig(model="/nowhere/policy"))
