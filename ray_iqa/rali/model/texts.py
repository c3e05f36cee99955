"""Reasoning texts made ready for a text tower that reads 77 tokens.

The paper tells neither how texts are cleaned nor what happens to long ones. Here a sentence that states a rating is
dropped, so that no score leaks into a text, and a text that is too long is used as runs of whole sentences.
"""

import re
from collections.abc import Callable

_TAG = re.compile(r"</?(?:think|answer)>", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_RATING = re.compile(r"\b(?:rat(?:e[ds]?|ings?)|scor\w*|grade\w*|out of|stars?)\b", re.IGNORECASE)
_SCORE = re.compile(r"\d\s*/\s*\d|\b[1-5]\.\d")


def clean_reasoning(text: str) -> str:
    """The reasoning without tags and without sentences that state a rating in digits; may be empty."""
    return " ".join(part for part in sentences(_TAG.sub(" ", text)) if not _states_rating(part))


def sentences(text: str) -> list[str]:
    """Split after ``.``, ``!`` and ``?`` and at line ends; decimal points split nothing."""
    return [part.strip() for part in _SENTENCE_END.split(text.strip()) if part.strip()]


def training_texts(text: str, fits: Callable[[str], bool]) -> list[str]:
    """What stands for a text in training: itself if it fits, else its longest runs of whole sentences that fit.

    One run per first sentence, without those that lie inside an earlier one. A single sentence that is too long
    stays, and the tokenizer cuts its end.
    """
    if fits(text):
        return [text]
    parts = sentences(text)
    runs: list[str] = []
    reach = 0  # sentences covered so far
    for start in range(len(parts)):
        end = start + 1
        while end < len(parts) and fits(" ".join(parts[start : end + 1])):
            end += 1
        if end > reach:
            runs.append(" ".join(parts[start:end]))
            reach = end
    return runs


def _states_rating(sentence: str) -> bool:
    has_digit = any(character.isdigit() for character in sentence)
    return has_digit and bool(_RATING.search(sentence) or _SCORE.search(sentence))
