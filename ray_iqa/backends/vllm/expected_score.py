"""The mean of the numbers that could stand in a policy's answer, weighted with their probabilities.

The reasoning is the greedy one. At the first token of the number in the answer every likely token that begins a number
is taken in turn and continued greedily; each continuation's number counts with the probability of that token. Decimals
are therefore those of each branch's greedy continuation, and tokens below 1 % are left out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ray_iqa.answers.parse import parse
from ray_iqa.answers.prompt import Prompt
from ray_iqa.types import Answer, Completion

if TYPE_CHECKING:
    from ray_iqa.backends.vllm.sampler import VllmSampler
    from ray_iqa.policy.inputs import PolicyInputs

_LEAST_PROBABILITY = 0.01
_NUM_ALTERNATIVES = 20  # the most that vLLM returns by default
_LONGEST_ENDING = 32  # tokens of a number and the closing tag


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedScore:
    """Mean and standard deviation of the score over its branches."""

    mean: float
    std: float


def expected_scores(
    sampler: "VllmSampler", prompt: Prompt, pictures: Sequence[Image.Image], answers: Sequence[Completion]
) -> list[ExpectedScore | None]:
    """One per picture; None where no branch ends in a readable answer.

    Args:
        sampler: whose engine wrote the answers.
        prompt: what was asked.
        pictures: in the order of ``answers``.
        answers: greedy ones with a readable score.
    """
    if not answers:
        return []
    inputs = sampler.inputs
    begun = [_before_number(inputs, answer, prompt) for answer in answers]
    first = sampler.generate(
        [sampler.prompt(picture, ids) for picture, ids in zip(pictures, begun, strict=True)],
        [_greedy(inputs, max_tokens=1, logprobs=_NUM_ALTERNATIVES)] * len(begun),
    )
    branches = [
        (place, [*ids, token], probability)
        for place, (ids, result) in enumerate(zip(begun, first, strict=True))
        for token, probability in _number_tokens(inputs, ids, result.outputs[0].logprobs[0], answers[place].text)
    ]
    endings = sampler.generate(
        [sampler.prompt(pictures[place], ids) for place, ids, _ in branches],
        [_greedy(inputs, max_tokens=_LONGEST_ENDING)] * len(branches),
    )
    weighted: list[list[tuple[float, float]]] = [[] for _ in answers]
    for (place, ids, probability), result in zip(branches, endings, strict=True):
        answer = parse(inputs.decode([*ids, *result.outputs[0].token_ids]), prompt)
        if isinstance(answer, Answer):
            weighted[place].append((answer.score, probability))
    return [_moments(pairs) for pairs in weighted]


def _before_number(inputs: "PolicyInputs", answer: Completion, prompt: Prompt) -> list[int]:
    """The tokens of an answer up to the one that holds the first digit of its score."""
    start = _number_start(answer.text, prompt)
    ids = [int(token) for token in answer.token_ids]
    count = len(ids)
    while count and len(inputs.decode(ids[:count])) > start:
        count -= 1
    return ids[:count]


def _number_start(text: str, prompt: Prompt) -> int:
    start = text.rindex("<answer>")
    if prompt.answer_format == "json":
        start = text.index('"rating"', start)
    digit = re.compile(r"\d").search(text, start)
    assert digit is not None, f"a readable answer has a number: {text[start:]!r}"
    return digit.start()


def _number_tokens(
    inputs: "PolicyInputs", begun: Sequence[int], logprobs: Mapping[int, Any], text: str
) -> list[tuple[int, float]]:
    """(token, probability) of those that go on with a number just where the greedy answer has one."""
    head = len(inputs.decode(begun))
    lead = re.match(r"\D*", text[head:])
    start = head + (lead.end() if lead else 0)
    found = []
    for token, entry in logprobs.items():
        probability = float(np.exp(entry.logprob))
        continued = inputs.decode([*begun, token])
        begins_number = continued[:start] == text[:start] and continued[start : start + 1].isdecimal()
        if probability >= _LEAST_PROBABILITY and begins_number:
            found.append((token, probability))
    return found


def _moments(pairs: Sequence[tuple[float, float]]) -> ExpectedScore | None:
    if not pairs:
        return None
    scores, weights = np.array(pairs, dtype=np.float64).T
    mean = float(np.average(scores, weights=weights))
    return ExpectedScore(mean=mean, std=float(np.sqrt(np.average((scores - mean) ** 2, weights=weights))))


def _greedy(inputs: "PolicyInputs", *, max_tokens: int, logprobs: int = 0) -> Any:  # noqa: ANN401 - vllm is untyped
    from vllm import SamplingParams

    return SamplingParams(
        temperature=0.0,
        max_tokens=max_tokens,
        logprobs=logprobs,
        detokenize=False,
        **inputs.bounds_of_answers,
    )
