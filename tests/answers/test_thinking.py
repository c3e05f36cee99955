import pytest

from ray_iqa.answers.thinking import split_thinking


@pytest.mark.parametrize(
    ("text", "reasoning", "content"),
    [
        ("<think>sharp, < 3 noise</think> <answer>4</answer>", "sharp, < 3 noise", "<answer>4</answer>"),
        ("\n<think>never ends </thin", "never ends </thin", ""),
        ("4.2 stars <think>late</think>", "", "4.2 stars <think>late</think>"),
        ("<think></think>", "", ""),
        ("<thi", "", "<thi"),
        ("", "", ""),
    ],
)
def test_parts_only_grow_until_they_are_whole(text: str, reasoning: str, content: str) -> None:
    assert split_thinking(text, complete=True) == (reasoning, content)
    thought = said = ""
    for size in range(len(text) + 1):
        more_thought, more_said = split_thinking(text[:size], complete=False)
        assert more_thought.startswith(thought)
        assert more_said.startswith(said)
        thought, said = more_thought, more_said
    assert reasoning.startswith(thought)
    assert content.startswith(said)
