import numpy as np
from report_folders import prediction

from ray_iqa.report.gmad import LEVELS, adversarial_pairs, gmad_section
from ray_iqa.report.scorer_pair import ScorerPair

NUM_IMAGES = 60


def scorer_pair(direction: str = "higher") -> ScorerPair:
    """A defender that ranks image i at i and an attacker that sees i as good, except for three images that it damns."""
    damned = {9: 0.0, 30: 0.0, 51: 0.0}
    return ScorerPair(
        first=tuple(prediction("defender", i, float(i), mos=damned.get(i, i), direction=direction) for i in range(60)),
        second=tuple(prediction("attacker", i, damned.get(i, float(i)), mos=damned.get(i, i)) for i in range(60)),
    )


def test_the_attacker_finds_what_the_defender_overlooks() -> None:
    pair = scorer_pair()
    pairs = adversarial_pairs(pair.first, pair.second)
    assert [found.level for found in pairs] == list(LEVELS)
    # A tenth of 60 images around 1/6, 1/2, 5/6: 7 to 12, 27 to 32, 47 to 52.
    assert [found.attacker[0].image_id for found in pairs] == ["012", "032", "052"]
    assert [found.attacker[1].image_id for found in pairs] == ["009", "030", "051"]
    for found in pairs:
        ids = [row.image_id for row in found.defender]
        assert ids == [row.image_id for row in found.attacker]
        defended = [row.score for row in found.defender if row.score is not None]
        assert np.ptp(defended) < 0.1 * NUM_IMAGES
        assert found.labels_side_with_attacker is True


def test_labels_that_fall_with_quality_are_read_the_other_way_round() -> None:
    pair = scorer_pair()
    rows = [prediction("attacker", i, row.score, mos=row.mos, direction="lower") for i, row in enumerate(pair.second)]
    assert [found.labels_side_with_attacker for found in adversarial_pairs(pair.first, rows)] == [False] * 3


def test_labels_of_different_scenes_cannot_decide() -> None:
    pair = scorer_pair()
    rows = [prediction("attacker", i, row.score, mos=row.mos, scene_id=str(i)) for i, row in enumerate(pair.second)]
    assert [found.labels_side_with_attacker for found in adversarial_pairs(pair.first, rows)] == [None] * 3


def test_both_scorers_defend() -> None:
    section = gmad_section(scorer_pair(), with_images=False)
    assert [row[:4] for row in section.tables[0].rows] == [
        ("defender", "attacker", "3", "3 of 3"),
        ("attacker", "defender", "3", section.tables[0].rows[1][3]),
    ]
    assert len(section.cards) == 6


def test_few_images_are_no_contest() -> None:
    pair = scorer_pair()
    section = gmad_section(ScorerPair(first=pair.first[:20], second=pair.second[:20]), with_images=False)
    assert section.missing is not None
    assert "at least 30 images" in section.missing
