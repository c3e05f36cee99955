"""RACT's lessons: what policies wrote about the pictures of several data sets, as texts that a policy learns by heart.

RACT (RALI paper, appendix; `Reasoning-Aligned Cross-domain Training`) fits one policy to reasoning texts, the label
space that data sets share, with cross-entropy. Scores of one data set only are mixed in. The paper leaves open how an
answer without a score ends: here it ends after its reasoning, and nothing is taught about what follows.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_iqa.errors import DataError
from ray_iqa.rali.annotations.records import ReasoningRecord, texts_by_image
from ray_iqa.seeds import derive_seed
from ray_iqa.types import TrainingBatch, TrainingGroup

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One picture and the answers to learn about it."""

    image_path: str
    answers: tuple[str, ...]
    has_score: bool  # an answer without a score is open-ended


def lessons(records: Sequence[ReasoningRecord], scored_dataset: str | None, texts_per_image: int) -> list[Lesson]:
    """One lesson per picture with a text; failed records are passed over.

    Args:
        records: of one or several data sets, in any order.
        scored_dataset: its answers end with the picture's label; None teaches reasoning only.
        texts_per_image: the first ones of each picture.

    Raises:
        DataError: no text, no such data set, or one of its pictures has no label.
    """
    grouped = texts_by_image(records)
    datasets = sorted({dataset for dataset, _ in grouped})
    if scored_dataset is not None and scored_dataset not in datasets:
        raise DataError(f"texts.scored_dataset must be annotated, got {scored_dataset!r}, found {', '.join(datasets)}")
    return [
        Lesson(
            image_path=own[0].image_path,
            answers=tuple(_answer(record, scored_dataset) for record in own[:texts_per_image]),
            has_score=own[0].dataset == scored_dataset,
        )
        for own in grouped.values()
    ]


def _answer(record: ReasoningRecord, scored_dataset: str | None) -> str:
    thought = f"<think>{record.reasoning}</think>"
    if record.dataset != scored_dataset:
        return thought
    if record.mapped_mos is None:
        raise DataError(f"texts.scored_dataset needs labels, {record.image_id!r} of {record.dataset!r} has none")
    return f"{thought}<answer>{record.mapped_mos:.2f}</answer>"


class LessonPlan:
    """Which pictures each step learns: a function of (seed, step); every epoch shows each picture once.

    Args:
        chosen: All lessons.
        prompt_of: Path of a picture -> what the policy reads before it answers about it, [P].
        tokens_of: Tokens [T] of an answer, the end of the turn last.
        images_per_step: At most.
        seed: Of the order.
    """

    def __init__(
        self,
        chosen: Sequence[Lesson],
        prompt_of: Callable[[str], NDArray[np.int32]],
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
            prompt_token_ids=self._prompt_of(lesson.image_path),
            completions=tuple(answer if lesson.has_score else answer[:-1] for answer in answers),
            logprobs=None,
            advantages=np.ones(len(answers), dtype=np.float32),
        )
