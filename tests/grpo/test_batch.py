import numpy as np
import pytest

from ray_iqa.grpo.batch import build_training_batch, mini_batches
from ray_iqa.types import Completion, LabelledImage, RolloutGroup


def group(name: str, policy_version: int = 7) -> RolloutGroup:
    image = LabelledImage(
        image_id=name, image_path=f"/{name}.png", dataset="d", mos=3.0, mos_std=None, higher_is_better=True
    )
    completions = tuple(
        Completion(
            token_ids=np.arange(length, dtype=np.int32),
            logprobs=np.full(length, -length, dtype=np.float32),
            text="",
            finish_reason="stop",
        )
        for length in (1, 2, 3)
    )
    prompt = np.array([5, 6], dtype=np.int32)
    return RolloutGroup(image=image, prompt_token_ids=prompt, completions=completions, policy_version=policy_version)


def test_only_trainable_completions_stay() -> None:
    advantages = np.array([[0.5, -1.0, 0.5], [0, 0, 0], [0, 0, 0]], dtype=np.float32)
    trainable = np.array([[True, False, True], [False, False, False], [True, True, True]])
    batch = build_training_batch([group("a"), group("b"), group("c")], advantages, trainable)
    assert batch.policy_version == 7
    first, last = batch.groups
    assert first.image_path == "/a.png"
    assert [ids.tolist() for ids in first.completions] == [[0], [0, 1, 2]]
    assert [values.tolist() for values in first.logprobs] == [[-1], [-3, -3, -3]]
    assert first.advantages.tolist() == [0.5, 0.5]
    assert last.image_path == "/c.png"
    assert len(last.completions) == 3  # all-zero advantages, kept for the KL


def test_a_step_without_any_advantage_leaves_an_empty_batch() -> None:
    batch = build_training_batch([group("a"), group("b")], np.zeros((2, 3), np.float32), np.ones((2, 3), np.bool_))
    assert batch.groups == ()


def test_dynamic_sampling_leaves_out_a_group_without_advantage() -> None:
    advantages = np.array([[0.5, -1.0, 0.5], [0, 0, 0]], dtype=np.float32)
    everything = np.ones((2, 3), np.bool_)
    batch = build_training_batch([group("a"), group("b")], advantages, everything, keep_without_advantage=False)
    assert [item.image_path for item in batch.groups] == ["/a.png"]


def test_mini_batches_take_whole_groups_in_turn_and_none_is_empty() -> None:
    groups = [group(name) for name in "abcde"]
    batch = build_training_batch(groups, np.ones((5, 3), np.float32), np.ones((5, 3), np.bool_))
    parts = [[item.image_path[1] for item in part.groups] for part in mini_batches(batch, 2)]
    assert parts == [["a", "c", "e"], ["b", "d"]]
    assert len(mini_batches(batch, 7)) == 5


def test_nothing_trainable_leaves_an_empty_batch() -> None:
    batch = build_training_batch([group("a")], np.zeros((1, 3), np.float32), np.zeros((1, 3), np.bool_))
    assert batch.groups == ()


@pytest.mark.parametrize("versions", [(), (1, 2)])
def test_groups_must_share_a_policy_version(versions: tuple[int, ...]) -> None:
    groups = [group("a", version) for version in versions]
    shape = (len(groups), 3)
    with pytest.raises(ValueError, match="one policy version"):
        build_training_batch(groups, np.zeros(shape, np.float32), np.ones(shape, np.bool_))
