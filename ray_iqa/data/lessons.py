"""Given answers about pictures, which a policy learns by heart, and which of them a step holds."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_iqa.config.policy import PromptConfig
from ray_iqa.data.tables import read_table
from ray_iqa.errors import DataError
from ray_iqa.seeds import derive_seed
from ray_iqa.types import TrainingBatch, TrainingGroup

logger = logging.getLogger(__name__)
_PICTURE = "<image>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One picture, a question and the answers to learn."""

    image_path: str
    question: str | None  # see `LabelledImage.question`
    answers: tuple[str, ...]
    is_whole: bool = True  # an answer that is not whole is open-ended: nothing is taught about what follows


class LessonPlan:
    """Which lessons each step learns: a function of (seed, step); every epoch shows each once.

    Args:
        chosen: All lessons.
        prompt_of: Path of a picture and question -> what the policy reads before it answers, [P].
        tokens_of: Tokens [T] of an answer, the end of the turn last.
        images_per_step: At most.
        seed: Of the order.
    """

    def __init__(
        self,
        chosen: Sequence[Lesson],
        prompt_of: Callable[[str, str | None], NDArray[np.int32]],
        tokens_of: Callable[[str], NDArray[np.int32]],
        images_per_step: int,
        seed: int,
    ) -> None:
        self._lessons, self._prompt_of, self._tokens_of, self._seed = chosen, prompt_of, tokens_of, seed
        self._size = min(images_per_step, len(chosen))
        self.steps_per_epoch = -(-len(chosen) // self._size)

    def batch_for(self, step: int) -> TrainingBatch:
        """The batch of ``step``, counted from 1; the last one of an epoch may be smaller.

        A picture that cannot be read is left out, and why is logged.
        """
        epoch, place = divmod(step - 1, self.steps_per_epoch)
        order = np.random.default_rng(derive_seed(self._seed, "lessons", epoch)).permutation(len(self._lessons))
        chosen = order[place * self._size : (place + 1) * self._size]
        groups = []
        for index in chosen:
            try:
                groups.append(self._group(self._lessons[index]))
            except DataError as error:
                logger.warning("a picture leaves step %d: %s", step, error)
        return TrainingBatch(groups=tuple(groups), policy_version=step - 1)

    def _group(self, lesson: Lesson) -> TrainingGroup:
        answers = [self._tokens_of(answer) for answer in lesson.answers]
        return TrainingGroup(
            image_path=lesson.image_path,
            question=lesson.question,
            prompt_token_ids=self._prompt_of(lesson.image_path, lesson.question),
            completions=tuple(answer if lesson.is_whole else answer[:-1] for answer in answers),
            logprobs=None,
            advantages=np.ones(len(answers), dtype=np.float32),
        )


def read_chats(files: Sequence[str]) -> tuple[list[Lesson], dict[str, PromptConfig]]:
    """Rows of the chat format that ms-swift, LLaMA-Factory and TRL read: one picture, one question, one answer.

    ``{"messages": [{"role": "user", "content": "<image>..."}, {"role": "assistant", "content": "..."}],
    "images": ["a.png"]}``; a system message may come first, a content may be a list of parts as OpenAI writes it, and
    paths are relative to the file's folder.

    Returns:
        the lessons, and their questions by the name that the lessons use.

    Raises:
        DataError: a file is not readable, or a row is none of these; names file, line and what was found.
    """
    lessons, questions = [], {}
    for file in files:
        for place, record in read_table(Path(file), ["messages"], optional=["images", "image"]):
            system, text, answer = _turns(record["messages"], place)
            prompt = PromptConfig(text=text, system=system, answer_format="object", asks_reasoning=False)
            name = sha256(prompt.model_dump_json().encode()).hexdigest()[:16]
            questions[name] = prompt
            picture = Path(file).parent / _picture(record, place)
            lessons.append(Lesson(image_path=str(picture), question=name, answers=(answer,)))
    return lessons, questions


def _picture(record: Mapping[str, Any], place: str) -> str:  # Any: values as the file types them
    found = record.get("images", record.get("image"))
    names = [found] if isinstance(found, str) else found
    if not isinstance(names, list) or len(names) != 1 or not isinstance(names[0], str):
        raise DataError(f"{place}: images must be a list with the path of one picture, got {found!r}")
    return names[0]


def _turns(messages: Any, place: str) -> tuple[str | None, str, str]:  # noqa: ANN401 - as the file types them
    """System message, question and answer."""
    turns = messages if isinstance(messages, list) else []
    roles = [turn.get("role") if isinstance(turn, dict) else None for turn in turns]
    if roles not in (["user", "assistant"], ["system", "user", "assistant"]):
        raise DataError(
            f"{place}: messages must be a user's and an assistant's, after at most one system message, got {roles}"
        )
    texts = [_text(turn.get("content"), place, turn["role"]) for turn in turns]
    return texts[0] if len(texts) == 3 else None, texts[-2], texts[-1]


def _text(content: Any, place: str, role: str) -> str:  # noqa: ANN401 - as the file types it
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        content = "".join(_PICTURE if "text" not in part else str(part["text"]) for part in content)
    if not isinstance(content, str) or not content:
        raise DataError(f"{place}: the content of the {role}'s message must be text, got {content!r}")
    text = content.removeprefix(_PICTURE).lstrip("\n") if role == "user" else content
    if _PICTURE in text:
        raise DataError(f"{place}: {_PICTURE} must come first in the user's message and stand there once")
    return text
