"""What K answers about one picture become; engines are met in tests/actors/test_evaluate.py."""

import numpy as np
import pytest

from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.answers.verdict import verdict_of_group
from ray_iqa.types import Completion, LabelledImage, RolloutGroup

PROMPT = prompt_by_id("thinking")
IMAGE = LabelledImage(
    image_id="1", image_path="/1.png", dataset="d", mos=float("nan"), mos_std=None, higher_is_better=True
)


def group(*texts: str) -> RolloutGroup:
    ids = np.arange(3, dtype=np.int32)
    completions = tuple(
        Completion(token_ids=ids, logprobs=np.zeros(3, np.float32), text=text, finish_reason="stop") for text in texts
    )
    return RolloutGroup(image=IMAGE, prompt_token_ids=ids, completions=completions, policy_version=0)


def test_the_score_is_the_mean_of_what_can_be_read() -> None:
    texts = ["<think>fine</think><answer>3</answer>", "no", "<think>poor</think><answer>1.5</answer>"]
    found = verdict_of_group(group(*texts, "<think>so so</think><answer>2.50</answer>"), PROMPT)
    assert found.value == pytest.approx((3 + 1.5 + 2.5) / 3)
    assert found.spread == pytest.approx(np.std([3, 1.5, 2.5], ddof=1))
    assert (found.reasoning, found.reason) == ("so so", None)


def test_one_answer_has_no_deviation() -> None:
    found = verdict_of_group(group("<think>fine</think><answer>3</answer>"), PROMPT)
    assert (found.value, found.spread) == (3.0, None)


def test_without_a_readable_answer_there_is_a_reason_and_no_number() -> None:
    found = verdict_of_group(group("no", "<answer>9</answer>", "no"), PROMPT)
    assert (found.value, found.reasoning) == (None, None)
    assert found.reason is not None
    assert found.reason.startswith("no readable score in 3 answers: ")
    assert "no complete <answer> block" in found.reason
