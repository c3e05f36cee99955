"""RACT's lessons: what policies wrote about the pictures of several data sets, as texts that a policy learns by heart.

RACT (RALI paper, appendix; `Reasoning-Aligned Cross-domain Training`) fits one policy to reasoning texts, the label
space that data sets share, with cross-entropy. Scores of one data set only are mixed in. The paper leaves open how an
answer without a score ends: here it ends after its reasoning, and nothing is taught about what follows.
"""

from collections.abc import Sequence

from ray_iqa.data.lessons import Lesson
from ray_iqa.errors import DataError
from ray_iqa.rali.annotations.records import ReasoningRecord, texts_by_image


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
            question=None,
            answers=tuple(_answer(record, scored_dataset) for record in own[:texts_per_image]),
            is_whole=own[0].dataset == scored_dataset,
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
