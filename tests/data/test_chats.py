"""Rows of a chat format as lessons: spellings of the field, and what is refused with its line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ray_iqa.data.lessons import LessonPlan, read_chats
from ray_iqa.errors import DataError


def turn(role: str, content: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"role": role, "content": content}


GOOD = {"messages": [turn("user", "<image>How is it?"), turn("assistant", "Sharp, 4.5")], "images": ["a.png"]}


def write(folder: Path, *rows: dict[str, Any]) -> str:
    file = folder / "chats.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def test_the_spellings_of_one_question_are_one_question(tmp_path: Path) -> None:
    parts = [{"type": "image"}, {"type": "text", "text": "How is it?"}]
    system = [turn("system", "You judge."), *GOOD["messages"]]
    rows = [
        GOOD,
        GOOD | {"messages": [turn("user", "How is it?"), GOOD["messages"][1]]},
        GOOD | {"messages": [turn("user", parts), GOOD["messages"][1]]},
        {"messages": GOOD["messages"], "image": "sub/b.png"},
        GOOD | {"messages": system},
    ]
    lessons, questions = read_chats([write(tmp_path, *rows)])
    assert len({lesson.question for lesson in lessons[:4]}) == 1
    first, last = questions[lessons[0].question], questions[lessons[4].question]
    assert (first.text, first.system) == ("How is it?", None)
    assert (last.text, last.system) == ("How is it?", "You judge.")
    assert [lesson.image_path for lesson in lessons[2:4]] == [str(tmp_path / "a.png"), str(tmp_path / "sub/b.png")]
    assert {lesson.answers for lesson in lessons} == {("Sharp, 4.5",)}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"images": ["a.png", "b.png"]},
            r"images must be a list with the path of one picture, got \['a.png', 'b.png'\]",
        ),
        ({"images": []}, "images must be a list with the path of one picture"),
        ({"messages": [turn("user", "x")]}, r"messages must be a user's and an assistant's, .* got \['user'\]"),
        ({"messages": [*GOOD["messages"], *GOOD["messages"]]}, "messages must be a user's and an assistant's"),
        ({"messages": "x"}, "messages must be a user's"),
        ({"messages": [turn("user", "x <image>"), GOOD["messages"][1]]}, "<image> must come first"),
        ({"messages": [turn("user", ""), GOOD["messages"][1]]}, "the content of the user's message must be text"),
        ({"messages": [GOOD["messages"][0], turn("assistant", 3)]}, "the content of the assistant's message must be"),
    ],
)
def test_a_row_that_is_not_one_picture_one_question_one_answer(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DataError, match=f"chats.jsonl.* 2.*: {sentence}"):
        read_chats([write(tmp_path, GOOD, GOOD | change)])


def test_every_epoch_shows_each_lesson_once_whatever_the_step_asked_for_first(tmp_path: Path) -> None:
    rows = [GOOD | {"images": [f"{number}.png"]} for number in range(7)]
    lessons, _ = read_chats([write(tmp_path, *rows)])
    nothing = np.zeros(1, np.int32)
    plan = LessonPlan(lessons, lambda *_: nothing, lambda _: nothing, 3, seed=1)
    assert plan.steps_per_epoch == 3
    epochs = [
        [group.image_path for step in steps for group in plan.batch_for(step).groups]
        for steps in ((3, 1, 2), (4, 5, 6))
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(lesson.image_path for lesson in lessons)
    assert epochs[0] != epochs[1]
