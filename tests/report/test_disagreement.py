import numpy as np
from report_folders import HOSTILE, prediction

from ray_iqa.report.disagreement import NUM_SHOWN, disagreement_section
from ray_iqa.report.inputs import ReportInputs
from ray_iqa.report.scorer_pair import ScorerPair, percentiles, scorer_pair


def test_ranks_are_taken_inside_a_dataset() -> None:
    rows = [
        prediction("m", 0, 1.0, dataset="a"),
        prediction("m", 1, 50.0, dataset="b"),
        prediction("m", 2, 3.0, dataset="a"),
        prediction("m", 3, 10.0, dataset="b"),
    ]
    np.testing.assert_allclose(percentiles(rows), [25.0, 75.0, 75.0, 25.0])


def test_the_widest_gaps_are_shown_with_the_words_of_the_reasoning_model() -> None:
    first = [prediction("light", i, float(i)) for i in range(40)]
    swapped = {3: 39.0, 39: 3.0}
    second = [prediction("policy", i, swapped.get(i, float(i)), reasoning=f"{HOSTILE} {i}") for i in range(40)]
    section = disagreement_section(ScorerPair(first=tuple(first), second=tuple(second)), with_images=False)
    assert len(section.cards) == NUM_SHOWN
    assert [card.pictures[0].text for card in section.cards[:2]] == [f"{HOSTILE} 3", f"{HOSTILE} 39"]
    assert section.cards[0].pictures[0].lines[:2] == ("light: 3.00 (rank 9 %)", "policy: 39.00 (rank 99 %)")
    assert section.cards[0].pictures[0].data_uri is None


def inputs(*models: str, reasoning: str = "") -> ReportInputs:
    rows = [
        prediction(
            model, i, None if i == 1 and model == "b" else float(i), reasoning="why" if model == reasoning else None
        )
        for model in models
        for i in range(3)
    ]
    return ReportInputs(training=(), predictions=tuple(rows), measurements=(), differences=())


def test_a_silent_scorer_is_set_against_a_reasoning_one() -> None:
    pair = scorer_pair(inputs("a", "b", "c", reasoning="a"))
    assert pair is not None
    assert pair.names == ("b", "a")
    assert [row.image_id for row in pair.first] == ["000", "002"]  # b failed on the other one


def test_one_model_is_no_pair() -> None:
    assert scorer_pair(inputs("a")) is None
    assert disagreement_section(None, with_images=True).missing is not None
