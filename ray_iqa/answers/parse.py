"""Completion text -> score, or the reason why there is none.

Departure from VisualQuality-R1: its code takes the first digits it finds, accepts numbers outside the scale, and
fills an unreadable answer with a random score, which then moves other images' rewards. Here such an answer is a
``ParseFailure``. Style ``published`` keeps the code's reading (arXiv 2505.14460, repository) without the random fill.
"""

import json
import re
from collections.abc import Mapping
from typing import Literal

import numpy as np

from ray_iqa.answers.prompt import Prompt
from ray_iqa.types import Answer, ParseFailure

ParserStyle = Literal["strict", "published"]

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_NON_FINITE = {"nan", "inf", "infinity"}
_WORD_BREAK = re.compile(r"[\s:=*\"'`()\[\]]+")  # so that "**Score: 3.5**" has one number
_FENCE = re.compile(r"```(?:json)?(.*)```", re.DOTALL)
_LARGEST = float(np.finfo(np.float32).max)
_LONGEST_QUOTE = 24  # characters of an answer quoted in a reason

_PUBLISHED_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_PUBLISHED_NUMBER = re.compile(r"-?\d+(\.\d+)?")

_TAGGED = re.compile(r"<answer>.*?</answer>", re.DOTALL)
_REASONED_TAGGED = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL)
_REASONED_JSON = re.compile(r"<think>\n.*?\n</think>\n<answer>\n\s*(\{[^{}]*\})\s*\n</answer>", re.DOTALL)


def parse_by_question(
    text: str, question: str | None, prompts: Mapping[str | None, Prompt], style: ParserStyle
) -> Answer | ParseFailure:
    """As `parse`, with one of several prompts, by `LabelledImage.question`."""
    return parse(text, prompts[question], style)


class _Literal(str):
    """A JSON number as it was written."""

    __slots__ = ()


def parse(text: str, prompt: Prompt, style: ParserStyle = "strict") -> Answer | ParseFailure:
    """The score of a completion on the prompt's scale; never raises.

    Args:
        text: the completion, special tokens removed.
        prompt: what was asked; decides the answer's format and range.
        style: ``strict`` wants exactly one plain decimal number inside the scale in the last answer block (for a
            JSON prompt: one flat object whose ``rating`` is such a number). ``published`` takes the first number in
            the last answer block, or in the whole text when there is no block, whatever its range.
    """
    score = _published_score(text) if style == "published" else _strict_score(text, prompt)
    if isinstance(score, ParseFailure):
        return score
    return Answer(score=score, reasoning=_reasoning(text))


def is_well_formed(text: str, prompt: Prompt) -> bool:
    """Whether the whole completion has the format asked for; what stands in the answer is not judged.

    With reasoning this is the full match of VisualQuality-R1's format reward: whitespace is allowed between the two
    blocks, none before or after them. Q-Insight's format wants each tag on a line of its own and one flat JSON
    object as the answer.
    """
    if not text.endswith("</answer>"):  # also keeps the patterns linear in endless completions
        return False
    if prompt.answer_format != "tagged" and not prompt.asks_reasoning:
        return isinstance(_json_pairs(text.removeprefix("<answer>").removesuffix("</answer>")), list)
    if prompt.answer_format != "tagged":
        match = _REASONED_JSON.fullmatch(text)
        return match is not None and isinstance(_json_pairs(match[1]), list)
    pattern = _REASONED_TAGGED if prompt.asks_reasoning else _TAGGED
    return pattern.fullmatch(text) is not None


def _strict_score(text: str, prompt: Prompt) -> float | ParseFailure:
    before_end, closed, _ = text.rpartition("</answer>")
    _, opened, answer = before_end.rpartition("<answer>")
    if not (opened and closed):
        return ParseFailure(reason="no complete <answer> block")
    if prompt.answer_format == "object":
        return ParseFailure(reason="the question asks for no score")
    number = _json_rating(answer) if prompt.answer_format == "json" else _only_number(answer)
    return number if isinstance(number, ParseFailure) else _on_scale(number, prompt)


def _only_number(answer: str) -> str | ParseFailure:
    words = [word.rstrip(".,;!") for word in _WORD_BREAK.split(answer)]
    numbers = [word for word in words if _is_numeric(word)]
    if not numbers:
        return ParseFailure(reason="no number in the answer")
    if len(numbers) > 1:
        return ParseFailure(reason=f"{len(numbers)} numbers in the answer")
    return numbers[0]


def _is_numeric(word: str) -> bool:
    return any(character.isnumeric() for character in word) or word.lstrip("+-").lower() in _NON_FINITE


def _json_rating(answer: str) -> str | ParseFailure:
    pairs = _json_pairs(answer)
    if isinstance(pairs, ParseFailure):
        return pairs
    ratings = [value for key, value in pairs if key == "rating"]
    if len(ratings) != 1:
        return ParseFailure(reason=f"{len(ratings)} keys 'rating' in the answer")
    rating = ratings[0]
    return str(rating) if isinstance(rating, _Literal) else ParseFailure(reason="rating is not a JSON number")


def _json_pairs(answer: str) -> list[tuple[str, object]] | ParseFailure:
    fenced = _FENCE.fullmatch(answer.strip())
    try:
        pairs = json.loads(
            fenced[1] if fenced else answer,
            object_pairs_hook=list,
            parse_int=_Literal,
            parse_float=_Literal,
            parse_constant=_Literal,
        )
    except (ValueError, RecursionError):  # RecursionError: brackets nested a thousand deep
        return ParseFailure(reason="the answer is not JSON")
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        return ParseFailure(reason="the answer is not a JSON object")
    return pairs


def _on_scale(number: str, prompt: Prompt) -> float | ParseFailure:
    quoted = number if len(number) <= _LONGEST_QUOTE else number[:_LONGEST_QUOTE] + "..."
    if number.lstrip("+-").lower() in _NON_FINITE:
        return ParseFailure(reason=f"{quoted!r} is not a finite number")
    if not _NUMBER.fullmatch(number):
        return ParseFailure(reason=f"{quoted!r} is not a plain decimal number")
    score = float(number)
    low, high = prompt.scale.minimum, prompt.scale.maximum
    if not low <= score <= high:
        return ParseFailure(reason=f"{quoted} is outside {low:g} to {high:g}")
    return score


def _published_score(text: str) -> float | ParseFailure:
    upto_last_block, closing, _ = text.rpartition("</answer>")  # keeps the search linear in endless completions
    blocks = _PUBLISHED_ANSWER.findall(upto_last_block + closing)
    number = _PUBLISHED_NUMBER.search(blocks[-1] if blocks else text)
    if number is None:
        return ParseFailure(reason="no number in the completion")
    score = float(number[0])
    if abs(score) > _LARGEST:  # dozens of digits; in a float32 table it would be infinite
        return ParseFailure(reason=f"{number[0][:_LONGEST_QUOTE]}... is not a finite float32")
    return score


def _reasoning(text: str) -> str:
    before = text.rpartition("<answer>")[0] or text
    _, opened, rest = before.partition("<think>")
    return rest.rpartition("</think>")[0].strip() if opened else ""
