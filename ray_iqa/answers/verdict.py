"""K answers about a picture -> one verdict: a score with its spread, or the reason why there is none.

The one place where this is computed and worded; the endpoint, evaluation, validation and annotation call it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ray_iqa.answers.parse import ParserStyle, parse
from ray_iqa.answers.prompt import Prompt
from ray_iqa.types import SCALE, Answer, ParseFailure, RolloutGroup, Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a model says about one picture; a failed one has a reason and no value."""

    value: float | None  # the score, higher is better
    spread: float | None = None  # of the readable answers, of the expected score, or the light scorer's
    scale: Scale = SCALE
    reason: str | None = None
    reasoning: str | None = None  # of the answer nearest to the value
    num_answers: int = 1
    num_unreadable: int | None = None  # answers left out of value and spread; None where none were sampled
    seconds: float | None = None  # share of the call that answered

    @property
    def status(self) -> Literal["ok", "failed"]:
        """Whether there is a value."""
        return "failed" if self.value is None else "ok"


def readings(group: RolloutGroup, prompt: Prompt, style: ParserStyle = "strict") -> list[Answer | ParseFailure]:
    """What each completion says; an aborted one is no answer, whatever it holds: training leaves it out too."""
    return [parse(item.text, prompt, style) for item in group.completions if item.finish_reason != "abort"]


def verdict_of(answers: Sequence[Answer | ParseFailure]) -> Verdict:
    """Mean and unbiased standard deviation (None with fewer than two) of the readable scores."""
    read = [answer for answer in answers if isinstance(answer, Answer)]
    num_answers, num_unreadable = len(answers), len(answers) - len(read)
    if not read:
        reasons = sorted({answer.reason for answer in answers if isinstance(answer, ParseFailure)}) or ["all aborted"]
        reason = f"no readable score in {num_answers} answers: {'; '.join(reasons)}"
        return Verdict(value=None, reason=reason, num_answers=num_answers, num_unreadable=num_unreadable)
    scores = np.array([answer.score for answer in read], dtype=np.float64)
    return Verdict(
        value=float(scores.mean()),
        spread=float(scores.std(ddof=1)) if len(scores) >= 2 else None,
        reasoning=read[int(np.abs(scores - scores.mean()).argmin())].reasoning,
        num_answers=num_answers,
        num_unreadable=num_unreadable,
    )


def verdict_of_group(group: RolloutGroup, prompt: Prompt, style: ParserStyle = "strict") -> Verdict:
    """As `verdict_of`; a picture that could not be looked at has the group's problem for a reason and no answers."""
    if group.problem is not None:
        return Verdict(value=None, reason=group.problem, num_answers=0, num_unreadable=0)
    return verdict_of(readings(group, prompt, style))
