import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from actors.cli import main
from ray_iqa.config.policy import PolicyConfig, PromptConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.errors import ConfigError
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.runs.preflight import check_answers
from ray_iqa.runs.prompt_length import lack_of_room, prompt_length, shortest_answer_length

SIZES = [(1, 1), (5, 300), (14, 14), (27, 2700), (42, 70), (70, 42), (97, 401), (300, 200), (401, 97), (640, 480)]
SIZES += [(28 * side, 28 * side) for side in (1, 2, 9, 10)] + [(side, 100 * side) for side in (1, 3, 20)]


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_policy(tmp_path_factory.mktemp("policy"), family=request.param)


@pytest.mark.parametrize(
    ("prompt", "minimum", "maximum"),
    [("thinking", 3136, 90_000), ("non-thinking", 30_000, 31_000), ("q-insight", 3136, 1_003_520)],
)
def test_the_length_is_that_of_the_encoded_prompt(folder: Path, prompt: str, minimum: int, maximum: int) -> None:
    policy = PolicyConfig(model=str(folder), prompt=prompt, min_pixels=minimum, max_pixels=maximum)
    inputs, length = PolicyInputs(policy), prompt_length(policy)
    found = {size: length(*size) for size in SIZES}
    assert found == {size: len(inputs.encode(Image.new("RGB", size)).token_ids) for size in SIZES}


def test_files_of_the_hub_are_laid_out_otherwise(folder: Path, tmp_path: Path) -> None:
    """As Qwen's own repositories have them: preprocessor_config.json and the template inside a JSON file."""
    old = tmp_path / "old"
    shutil.copytree(folder, old)
    settings = json.loads((old / "processor_config.json").read_text())["image_processor"]
    (old / "preprocessor_config.json").write_text(json.dumps(settings))
    (old / "chat_template.json").write_text(json.dumps({"chat_template": (old / "chat_template.jinja").read_text()}))
    for name in ("processor_config.json", "chat_template.jinja"):
        (old / name).unlink()
    assert prompt_length(PolicyConfig(model=str(old)))(300, 200) == prompt_length(PolicyConfig(model=str(folder)))(
        300, 200
    )


def test_a_policy_that_is_not_here_or_of_another_family_tells_nothing(tmp_path: Path) -> None:
    assert prompt_length(PolicyConfig(model="nobody/has-this")) is None
    assert shortest_answer_length(PolicyConfig(model="nobody/has-this")) == 0
    (tmp_path / "config.json").write_text("{}")
    assert prompt_length(PolicyConfig(model=str(tmp_path))) is None
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "CLIPImageProcessor"}')
    assert prompt_length(PolicyConfig(model=str(tmp_path))) is None


@pytest.mark.parametrize(
    ("prompt", "least"),
    [
        ("non-thinking", 4),  # <answer> 1 </answer> and the end of the turn, a token each
        ("thinking", 6),
    ],
)
def test_answers_must_have_room_for_their_format(folder: Path, prompt: str, least: int) -> None:
    policy = PolicyConfig(model=str(folder), prompt=prompt)
    check_answers(policy, VllmRolloutConfig(max_tokens=least))
    sentence = f"rollout.max_tokens must be at least {least}, what the shortest answer .* takes, got {least - 1}"
    with pytest.raises(ConfigError, match=sentence):
        check_answers(policy, VllmRolloutConfig(max_tokens=least - 1))


def test_the_longest_format_of_several_questions_counts(folder: Path) -> None:
    own = PromptConfig(text="?", answer_format="json")
    several = PolicyConfig(model=str(folder), prompt="non-thinking", questions={"own": own})
    alone = PolicyConfig(model=str(folder), prompt=own)
    assert shortest_answer_length(several) == shortest_answer_length(alone) > 6


def test_data_check_asks_for_a_policy(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, size in (("good", (64, 64)), ("thin", (3000, 10))):
        Image.new("L", size).save(tmp_path / f"{name}.png")
    manifest = tmp_path / "m.csv"
    rows = ["d,a,good.png,1,higher", "d,b,thin.png,2,higher", "d,c,s3://bucket/c.png,3,higher"]
    manifest.write_text("\n".join(["dataset,image_id,path,mos,direction", *rows]) + "\n")
    check = ["data", "check", str(manifest), "--labels-only", "--policy"]
    assert main([*check, str(folder)]) == 1
    found = f"policy: 1 of 2 pictures cannot be used: {tmp_path}/thin.png: one side may be at most 100 times the other"
    assert found in capsys.readouterr().out
    assert main([*check, "./nowhere"]) == 1
    assert "found no config.json in './nowhere'" in capsys.readouterr().err


def test_prompt_and_answer_share_the_model_s_length() -> None:
    assert lack_of_room(300, 212, 512) is None
    assert "its prompt of 301 tokens and an answer of rollout.max_tokens 212" in lack_of_room(301, 212, 512)
