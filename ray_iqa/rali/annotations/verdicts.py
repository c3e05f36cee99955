"""What a policy said about a picture -> the rows that the fit reads."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ray_iqa.answers.prompt import Prompt
from ray_iqa.answers.verdict import readings, verdict_of
from ray_iqa.rali.annotations.pictures import AnnotatedImage
from ray_iqa.rali.annotations.records import ReasoningRecord
from ray_iqa.rali.model.texts import clean_reasoning
from ray_iqa.types import Answer, RolloutGroup

if TYPE_CHECKING:  # whoever only decodes needs no torch
    from ray_iqa.rali.model.encoders import TextEncoder


def records_of_group(
    image: AnnotatedImage, group: RolloutGroup, prompt: Prompt, num_texts: int
) -> list[ReasoningRecord]:
    """``num_texts`` rows, not embedded yet; a row for which no completion gave a text says why.

    The teacher's score is the mean over all parsed completions; the texts are the first usable ones. A picture that the
    policy could not look at has one row.
    """
    if group.problem is not None:
        return [_record(image, 0, group.policy_version, group.problem)]
    answers = readings(group, prompt)
    verdict = verdict_of(answers)
    texts = [clean_reasoning(answer.reasoning) for answer in answers if isinstance(answer, Answer)]
    usable = [text for text in texts if text][:num_texts]
    reasons = [answer.reason for answer in answers if not isinstance(answer, Answer)]
    reasons += ["the reasoning is empty" for text in texts if not text] or ["an answer was aborted"]
    return [
        replace(
            _record(image, index, group.policy_version, None if text else f"no text: {reasons[0]}"),
            teacher_score=verdict.value,
            teacher_score_std=verdict.spread,
            reasoning=text,
        )
        for index, text in enumerate([*usable, *[None] * (num_texts - len(usable))])
    ]


def embed_texts(records: Sequence[ReasoningRecord], encoder: "TextEncoder", name: str) -> list[ReasoningRecord]:
    """The same rows with token counts, training texts and their embeddings; each different text is embedded once.

    Args:
        records: failed ones pass unchanged.
        encoder: the frozen text tower.
        name: of its backbone, for the rows.
    """
    texts = list(dict.fromkeys(record.reasoning for record in records if record.reasoning))
    if not texts:
        return list(records)
    runs = {text: encoder.training_texts(text) for text in texts}
    parts = list(dict.fromkeys(part for own in runs.values() for part in own))
    vectors = dict(zip(parts, encoder.embeddings(parts), strict=True))
    num_tokens = dict(zip(texts, encoder.num_tokens(texts), strict=True))
    return [
        record
        if record.reasoning is None
        else replace(
            record,
            num_tokens=num_tokens[record.reasoning],
            truncated=num_tokens[record.reasoning] > encoder.context_length,
            text_encoder=name,
            training_texts=runs[record.reasoning],
            text_embeddings=[vectors[part].tolist() for part in runs[record.reasoning]],
        )
        for record in records
    ]


def _record(image: AnnotatedImage, text_index: int, policy_version: int, reason: str | None) -> ReasoningRecord:
    return ReasoningRecord(
        image_id=image.image_id,
        image_path=image.image_path,
        dataset=image.dataset,
        content=image.content,
        mos=image.mos,
        mapped_mos=image.mapped_mos,
        teacher_score=None,
        teacher_score_std=None,
        reasoning=None,
        text_index=text_index,
        policy_version=policy_version,
        status="failed" if reason else "ok",
        reason=reason,
        num_tokens=None,
        truncated=None,
        text_encoder=None,
        training_texts=[],
        text_embeddings=[],
    )
