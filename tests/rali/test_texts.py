"""What is done to reasoning texts before they are embedded."""

from collections.abc import Callable

import pytest

from ray_iqa.rali.model.texts import clean_reasoning, sentences, training_texts


def fits(words: int) -> Callable[[str], bool]:
    return lambda text: len(text.split()) <= words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>Sharp edges. Little noise!</think>", "Sharp edges. Little noise!"),
        ("It is blurred. I would rate it 3.", "It is blurred."),
        ("Overall quality: 3.5\nColours are pale.", "Colours are pale."),
        ("The score is four out of 5. The sky is banded.", "The sky is banded."),
        ("I give 4/5. Good light.", "Good light."),
        ("There are 3 people in rather good light.", "There are 3 people in rather good light."),
        ("The rating should be high, for the image is sharp.", "The rating should be high, for the image is sharp."),
        ("Score: 2", ""),
    ],
)
def test_sentences_that_state_a_rating_are_dropped_and_others_kept(text: str, expected: str) -> None:
    assert clean_reasoning(text) == expected


def test_sentences_end_at_marks_and_lines_but_not_at_decimal_points() -> None:
    assert sentences("A lens of f/2.8 was used. Sharp!\nClean?  Yes") == [
        "A lens of f/2.8 was used.",
        "Sharp!",
        "Clean?",
        "Yes",
    ]


def test_text_that_fits_stays_as_it_is() -> None:
    assert training_texts("One two. Three.", fits(3)) == ["One two. Three."]


def test_long_text_becomes_its_longest_runs_of_whole_sentences() -> None:
    # With at most 4 words: a+b (4), then b+c would end at c, c alone is inside nothing longer, c+d has 5.
    text = "a a. b b. c c. d d d."
    assert training_texts(text, fits(4)) == ["a a. b b.", "b b. c c.", "d d d."]


def test_sentence_that_is_too_long_alone_stays() -> None:
    assert training_texts("a a a a a a. b b.", fits(3)) == ["a a a a a a.", "b b."]
