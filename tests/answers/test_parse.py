import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_iqa.answers.parse import is_well_formed, parse
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.types import Answer, ParseFailure

THINKING, NON_THINKING, Q_INSIGHT = (prompt_by_id(name) for name in ("thinking", "non-thinking", "q-insight"))


def answer(content: str) -> str:
    return f"<think>sharp, some noise</think><answer>{content}</answer>"


@pytest.mark.parametrize(
    ("content", "score"),
    [
        ("3.50", 3.5),
        (" 3.5\n", 3.5),
        ("1", 1.0),
        ("5.00", 5.0),
        ("Score: 4.25.", 4.25),
        ("**2.75**", 2.75),
        ("+2", 2.0),
    ],
)
def test_one_plain_number_is_the_score(content: str, score: float) -> None:
    assert parse(answer(content), THINKING) == Answer(score=score, reasoning="sharp, some noise")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no number"),
        ("good", "no number"),
        ("4/5", "'4/5' is not a plain decimal"),
        ("4 / 5", "2 numbers"),
        ("3.5 out of 5", "2 numbers"),
        ("2-3", "'2-3' is not a plain decimal"),
        ("1e0", "'1e0' is not a plain decimal"),
        ("1e3", "'1e3' is not a plain decimal"),
        ("4,5", "'4,5' is not a plain decimal"),
        (".5", "not a plain decimal"),
        ("3.5.1", "not a plain decimal"),
        ("\u0663", "not a plain decimal"),
        ("\uff13.\uff15", "not a plain decimal"),
        ("3\u00bd", "not a plain decimal"),
        ("\u22123", "not a plain decimal"),
        ("3\u200b5", "not a plain decimal"),
        ("4_0", "not a plain decimal"),
        ("NaN", "'NaN' is not a finite"),
        ("-inf", "'-inf' is not a finite"),
        ("3 nan", "2 numbers"),
        ("0.99", "0.99 is outside 1 to 5"),
        ("-3", "-3 is outside 1 to 5"),
        ("6.2", "6.2 is outside 1 to 5"),
        ("9" * 400, r"9{24}\.\.\. is outside"),
    ],
)
def test_anything_else_is_a_failure_with_its_reason(content: str, reason: str) -> None:
    result = parse(answer(content), THINKING)
    assert isinstance(result, ParseFailure)
    assert re.search(reason, result.reason), result.reason


def test_the_last_complete_block_counts() -> None:
    text = "<think>maybe <answer>1.00</answer></think><answer>4.00</answer> trailing <answer>2"
    assert parse(text, THINKING) == Answer(score=4.0, reasoning="maybe <answer>1.00</answer>")
    assert parse("<answer> is what I write: <answer>2.5</answer>", THINKING) == Answer(score=2.5, reasoning="")


@pytest.mark.parametrize("text", ["", "3.5", "<answer>3.5", "3.5</answer>", "</answer>3.5<answer>"])
def test_no_block_is_a_failure_of_its_own(text: str) -> None:
    assert parse(text, THINKING) == ParseFailure(reason="no complete <answer> block")


@pytest.mark.parametrize(
    ("content", "score"),
    [('{"rating": 3.25}', 3.25), ('\n{"rating": 4}\n', 4.0), ('```json\n{"rating": 2.0, "note": "x"}\n```', 2.0)],
)
def test_q_insight_reads_the_rating(content: str, score: float) -> None:
    assert parse(answer(content), Q_INSIGHT) == Answer(score=score, reasoning="sharp, some noise")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("3.5", "not a JSON object"),
        ("[3.5]", "not a JSON object"),
        ("{rating: 3.5}", "not JSON"),
        ('{"rating": 3.5} {"rating": 4}', "not JSON"),
        ('{"score": 3.5}', "0 keys 'rating'"),
        ('{"rating": 2, "rating": 3}', "2 keys 'rating'"),
        ('{"rating": "3.5"}', "not a JSON number"),
        ('{"rating": true}', "not a JSON number"),
        ('{"rating": {"rating": 3}}', "not a JSON number"),
        ('{"rating": 1e0}', "not a plain decimal"),
        ('{"rating": NaN}', "not a finite"),
        ('{"rating": 7}', "7 is outside 1 to 5"),
        ('{"rating": ' + "[" * 100_000, "not JSON"),
    ],
)
def test_q_insight_failures_have_reasons(content: str, reason: str) -> None:
    result = parse(answer(content), Q_INSIGHT)
    assert isinstance(result, ParseFailure)
    assert re.search(reason, result.reason), result.reason


@pytest.mark.parametrize(
    ("text", "score"),
    [
        (answer("4/5"), 4.0),
        (answer("4,5"), 4.0),
        (answer(".5"), 5.0),
        (answer("1e3"), 1.0),
        (answer("2-3"), 2.0),
        (answer("-3"), -3.0),
        (answer("0.20"), 0.2),
        ("<answer>1</answer><answer>2</answer>", 2.0),
        ("1. The image is sharp. Score 4.5", 1.0),
    ],
)
def test_published_style_reads_as_the_paper_code_does(text: str, score: float) -> None:
    result = parse(text, THINKING, style="published")
    assert isinstance(result, Answer)
    assert result.score == score


@pytest.mark.parametrize("text", ["", answer("good"), answer("9" * 60), "<answer></answer> 3.5"])
def test_published_style_never_invents_a_score(text: str) -> None:
    assert isinstance(parse(text, THINKING, style="published"), ParseFailure)


@pytest.mark.parametrize(
    ("text", "well_formed"),
    [
        ("<think>a\nb</think>\n <answer>good</answer>", True),
        ("<think></think><answer></answer>", True),
        (" <think>a</think><answer>3</answer>", False),
        ("<think>a</think><answer>3</answer>\n", False),
        ("<think>a</think> so <answer>3</answer>", False),
        ("<answer>3</answer>", False),
    ],
)
def test_format_of_thinking(text: str, *, well_formed: bool) -> None:
    assert is_well_formed(text, THINKING) is well_formed


def test_format_of_the_other_prompts() -> None:
    assert is_well_formed("<answer>3.00</answer>", NON_THINKING)
    assert not is_well_formed("The score is <answer>3.00</answer>", NON_THINKING)
    assert is_well_formed('<think>\nsharp\n</think>\n<answer>\n{"rating": 3.5}\n</answer>', Q_INSIGHT)
    assert not is_well_formed('<think>sharp</think><answer>{"rating": 3.5}</answer>', Q_INSIGHT)
    assert not is_well_formed("<think>\nsharp\n</think>\n<answer>\n{rating}\n</answer>", Q_INSIGHT)


PIECES = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "<answer",
        '{"rating":',
        "}",
        "nan",
        "1e9",
        "4",
        ".",
        "-",
        "\u0663",
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join)


@given(TEXTS, st.sampled_from([THINKING, NON_THINKING, Q_INSIGHT]))
def test_any_text_is_a_score_on_the_scale_or_a_failure(text: str, prompt: object) -> None:
    strict = parse(text, prompt)
    assert isinstance(strict, ParseFailure) or 1.0 <= strict.score <= 5.0
    published = parse(text, prompt, style="published")
    assert isinstance(published, ParseFailure) or np.isfinite(np.float32(published.score))
    assert is_well_formed(text, prompt) in (True, False)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", ["<think>", "</think><answer>", "<think></think>", "<answer>", "1 ", "9", "\n"])
@pytest.mark.parametrize("end", ["", "</answer>"])
def test_endless_completions_are_read_quickly(piece: str, end: str) -> None:
    text = "<think>\n" + piece * 20_000 + end
    for prompt in (THINKING, Q_INSIGHT):
        assert isinstance(parse(text, prompt), ParseFailure)
        parse(text, prompt, style="published")
        is_well_formed(text, prompt)
