import pytest

from ray_iqa.answers.parse import is_well_formed, parse
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.policy import PromptConfig
from ray_iqa.errors import ConfigError
from ray_iqa.types import Answer


def test_thinking_has_the_published_wording() -> None:
    prompt = prompt_by_id("thinking")
    assert prompt.system == "You are a helpful assistant."
    assert prompt.text == (
        "You are doing the image quality assessment task. Here is the question: What is your overall rating on the "
        "quality of this picture? The rating should be a float between 1 and 5, rounded to two decimal places, with 1 "
        "representing very poor quality and 5 representing excellent quality. First output the thinking process in "
        "<think> </think> tags and then output the final answer with only one score in <answer> </answer> tags."
    )


def test_non_thinking_has_the_published_wording() -> None:
    prompt = prompt_by_id("non-thinking")
    assert prompt.system == "You are a helpful assistant."
    assert prompt.text == (
        "You are doing the image quality assessment task. Here is the question: What is your overall rating on the "
        "quality of this picture? The rating should be a float between 1 and 5, rounded to two decimal places, with 1 "
        "representing very poor quality and 5 representing excellent quality. Please only output the final answer with "
        "only one score in <answer> </answer> tags."
    )


def test_q_insight_has_the_published_wording() -> None:
    prompt = prompt_by_id("q-insight")
    assert prompt.text == (
        "What is your overall rating on the quality of this picture? The rating should be a float between 1 and 5, "
        "rounded to two decimal places, with 1 representing very poor quality and 5 representing excellent quality. "
        'Return the final answer in JSON format with the following keys: "rating": The score.'
    )
    assert prompt.system == (
        "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The "
        "assistant first thinks about the reasoning process in the mind and then provides the user with the answer. "
        "The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, "
        "respectively, i.e., <think> reasoning process here </think><answer> answer here </answer>"
    )
    assert prompt.answer_format == "json"


def test_every_prompt_asks_on_the_scale_it_declares() -> None:
    for prompt_id in ("thinking", "non-thinking", "q-insight"):
        prompt = prompt_by_id(prompt_id)
        assert f"between {prompt.scale.minimum:.0f} and {prompt.scale.maximum:.0f}," in prompt.text


@pytest.mark.parametrize("asks_reasoning", [True, False])
@pytest.mark.parametrize("answer_format", ["tagged", "json", "object"])
def test_the_shortest_answer_has_the_format_asked_for_and_nothing_can_be_left_out(
    answer_format: str, asks_reasoning: bool
) -> None:
    own = PromptConfig(text="?", answer_format=answer_format, asks_reasoning=asks_reasoning, scale=(0, 9))
    prompt = prompt_by_id(own)
    answer = prompt.shortest_answer
    assert is_well_formed(answer, prompt)
    assert answer_format == "object" or parse(answer, prompt) == Answer(score=0.0, reasoning="")
    for place in range(len(answer)):
        shorter = answer[:place] + answer[place + 1 :]
        read = answer_format == "object" or isinstance(parse(shorter, prompt), Answer)
        assert answer[place] == " " or not (is_well_formed(shorter, prompt) and read), shorter


def test_unknown_prompt_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"thinking, non-thinking, q-insight.*'thinkin'.*did you mean 'thinking'"):
        prompt_by_id("thinkin")
