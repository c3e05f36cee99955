from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import ConfigError
from ray_iqa.policy.group_encoding import encode_group, encoded_ahead
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.types import TrainingGroup

SIDES = (56, 84, 112, 140, 168)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> PolicyInputs:
    return PolicyInputs(PolicyConfig(model=str(build_tiny_policy(tmp_path_factory.mktemp("policy")))))


def group_of(inputs: PolicyInputs, folder: Path, side: int) -> TrainingGroup:
    image = Image.new("RGB", (side, 56), (side, 10, 20))
    image.save(folder / f"{side}.png")
    answer = inputs.encode_answer("<answer>3</answer>")
    return TrainingGroup(
        image_path=str(folder / f"{side}.png"),
        prompt_token_ids=inputs.encode(image).token_ids.numpy().astype(np.int32),
        completions=(answer,),
        logprobs=(np.zeros(len(answer), dtype=np.float32),),
        advantages=np.zeros(1, dtype=np.float32),
    )


def test_micro_batches_come_encoded_and_in_order(inputs: PolicyInputs, tmp_path: Path) -> None:
    groups = [group_of(inputs, tmp_path, side) for side in SIDES]
    encoded = list(encoded_ahead(inputs, [(groups[0], groups[1]), *[(group,) for group in groups[2:]]]))
    assert [len(micro_batch) for micro_batch in encoded] == [2, 1, 1, 1]
    flat = [group for micro_batch in encoded for group in micro_batch]
    for group, found in zip(groups, flat, strict=True):
        assert found.prompt.token_ids.tolist() == group.prompt_token_ids.tolist()
        assert found.completions is group.completions


def test_an_image_that_changed_size_is_an_error(inputs: PolicyInputs, tmp_path: Path) -> None:
    group = group_of(inputs, tmp_path, 56)
    Image.new("RGB", (168, 168)).save(group.image_path)
    with pytest.raises(ConfigError, match=r"56\.png: the sampler saw \d+ tokens, the learner encodes \d+"):
        encode_group(inputs, group)


def test_a_missing_image_leaves_the_others(inputs: PolicyInputs, tmp_path: Path) -> None:
    kept, gone = group_of(inputs, tmp_path, 56), group_of(inputs, tmp_path, 84)
    Path(gone.image_path).unlink()
    [[first, second]] = encoded_ahead(inputs, [(kept, gone)])
    assert first.completions is kept.completions
    assert second == f"{gone.image_path}: no such image file"
