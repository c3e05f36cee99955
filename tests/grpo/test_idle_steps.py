import math

import numpy as np
import pytest

from ray_iqa.errors import ConfigError
from ray_iqa.grpo.idle_steps import Idle, IdleSteps, not_finite, ruins_discarded, why_idle
from ray_iqa.types import (
    Answer,
    Completion,
    FinishReason,
    LabelledImage,
    ParseFailure,
    Progress,
    RewardTable,
    RolloutGroup,
    TrainingBatch,
)


class Discarding:
    """A learner that keeps checkpoints of three versions, and one of them twice."""

    def __init__(self) -> None:
        self.checkpoints = [1, 2, 3, 3]

    def discard(self, policy_version: int) -> None:
        self.checkpoints = [version for version in self.checkpoints if version != policy_version]


BECAUSE = Idle("because", is_ruined=False)


def idle(*answers: tuple[str, FinishReason], policy_version: int = 0) -> str:
    """What kept a step of one group from an update; an answer that is a number is read."""
    nothing = np.zeros(1, dtype=np.int32)
    image = LabelledImage(image_id="a", image_path="a", dataset="d", mos=1.0, mos_std=None, higher_is_better=True)
    completions = tuple(
        Completion(token_ids=nothing, logprobs=nothing.astype(np.float32), text=text, finish_reason=finish_reason)
        for text, finish_reason in answers
    )
    group = RolloutGroup(image=image, prompt_token_ids=nothing, completions=completions, policy_version=0)
    parsed = np.array([[text.isdecimal() and reason != "abort" for text, reason in answers]])
    zeros = np.zeros(parsed.shape, dtype=np.float32)
    table = RewardTable(
        scores=zeros,
        parsed=parsed,
        terms={"fidelity": zeros, "format": zeros},
        rewards=zeros,
        trainable=parsed,
        opposed=np.array([False]),
        num_pairs=0,
        mean_label_gap=math.nan,
    )
    return why_idle(TrainingBatch(groups=(), policy_version=0), [group], table, read, policy_version).why


def read(text: str, _question: str | None) -> Answer | ParseFailure:
    return (
        Answer(score=float(text), reasoning="") if text.isdecimal() else ParseFailure(reason=f"no number in {text!r}")
    )


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([("so", "length"), ("la", "length"), ("3", "stop")], "2 of 3 answers were cut off at rollout.max_tokens"),
        ([("so", "length"), ("la", "length"), ("3", "stop")], "for example 'so'"),
        ([("so", "length")], "with a larger rollout.max_tokens"),
        ([("so", "stop"), ("so", "stop")], "2 of 2 answers have no readable score (no number in 'so')"),
        ([("3", "stop"), ("3", "length")], "2 of 2 answers earned what the others about their picture earned"),
        ([("", "abort"), ("", "abort"), ("la", "stop")], "2 of 3 answers were aborted"),
    ],
)
def test_what_happened_to_most_answers_is_said(answers: list[tuple[str, FinishReason]], sentence: str) -> None:
    assert sentence in idle(*answers)


def test_reasons_that_all_differ_are_one_kind_of_answer() -> None:
    said = idle(("4/5", "stop"), ("3/5", "stop"), ("2/5", "stop"), ("3", "stop"), ("3", "stop"))
    assert said.startswith("3 of 5 answers have no readable score (no number in '4/5'), for example '4/5'")
    assert said.endswith("with a policy that answers policy.prompt in its format")


def test_the_fifth_in_a_row_ends_the_run_and_an_update_begins_anew() -> None:
    steps = IdleSteps()
    for step in range(1, 5):
        steps.note(step, BECAUSE)
    steps.note(5, None)
    for step in range(6, 10):
        steps.note(step, BECAUSE)
    with pytest.raises(ConfigError, match="5 steps in a row taught the policy nothing, the last is 10: because"):
        steps.note(10, BECAUSE)


def test_a_run_without_an_update_does_not_end_well() -> None:
    steps = IdleSteps()
    steps.note(1, BECAUSE)
    with pytest.raises(ConfigError, match="2 steps in a row"):
        steps.note(2, BECAUSE, never_learned=True)


@pytest.mark.parametrize(("is_ruined", "left"), [(True, [1, 2]), (False, [1, 2, 3, 3])])
def test_what_is_resumed_from_is_no_version_that_is_ruined(is_ruined: bool, left: list[int]) -> None:
    learner, steps = Discarding(), IdleSteps()
    idle = Idle("because", is_ruined)
    for step in range(7, 11):
        steps.note(step, idle)
    with pytest.raises(ConfigError), ruins_discarded(learner, Progress(step=11, policy_version=3)):
        steps.note(11, idle)
    assert learner.checkpoints == left


def test_a_policy_that_its_updates_ruined_is_not_told_to_start_anew() -> None:
    answers: list[tuple[str, FinishReason]] = [("so", "length"), ("la", "length")]
    assert "with a larger rollout.max_tokens" in idle(*answers)
    assert "lower learner.learning_rate and --change-learning" in idle(*answers, policy_version=4)
    assert "rollout.num_completions" in idle(("3", "stop"), ("3", "stop"), policy_version=4)
    assert "another policy.model" in not_finite(0).why
    assert "lower learner.learning_rate and --change-learning" in not_finite(4).why
