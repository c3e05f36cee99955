from collections.abc import Sequence
from dataclasses import replace

import pytest
from report_folders import prediction

from ray_iqa.evaluation.records import PredictionRow
from ray_iqa.report.inputs import ReportInputs
from ray_iqa.report.monotonicity import level_curve, monotonicity_section


def rows(scores: Sequence[tuple[int, float | None]], contents: Sequence[str | None]) -> list[PredictionRow]:
    return [
        prediction("m", number, score, distortion="blur", level=level, ref_id=content)
        for number, ((level, score), content) in enumerate(zip(scores, contents, strict=True))
    ]


def test_pairs_are_counted_over_all_images_of_different_contents() -> None:
    curve = level_curve(rows([(1, 5.0), (1, 3.0), (2, 4.0), (4, 3.0), (4, None)], [None] * 5))
    assert curve is not None
    assert curve.levels == (1, 2, 4)
    assert curve.means == (4.0, 4.0, 3.0)
    assert curve.num_falling == 1  # 4.0 -> 4.0 does not fall
    # weaker over stronger: 5-4 right, 3-4 wrong, 5-3 right, 3-3 tied, 4-3 right
    assert curve.num_pairs == 5
    assert curve.pairs_ordered == pytest.approx(3.5 / 5)
    assert not curve.within_content


def test_pairs_stay_inside_a_content_that_was_shown_at_several_levels() -> None:
    curve = level_curve(rows([(1, 5.0), (2, 4.0), (1, 2.0), (2, 3.0)], ["a", "a", "b", "b"]))
    assert curve is not None
    assert curve.within_content
    assert curve.num_pairs == 2
    assert curve.pairs_ordered == 0.5


def test_the_labels_own_share_stands_beside_the_scorers() -> None:
    """People find level 2 of content b better than level 1; lower labels are better here."""
    labels = {("a", 1): 10.0, ("a", 2): 30.0, ("b", 1): 20.0, ("b", 2): 15.0}
    found = [
        prediction("m", number, 5.0 - level, distortion="blur", level=level, ref_id=content, mos=mos, direction="lower")
        for number, ((content, level), mos) in enumerate(labels.items())
    ]
    curve = level_curve(found)
    assert curve is not None
    assert (curve.pairs_ordered, curve.labels_ordered, curve.num_contents) == (1.0, 0.5, 2)
    unlabelled = level_curve([replace(row, mos=None) for row in found])
    scenes = level_curve([replace(row, scene_id="s") for row in found])
    assert unlabelled is not None
    assert scenes is not None
    assert (unlabelled.labels_ordered, scenes.labels_ordered) == (None, None)


def test_one_level_is_no_curve() -> None:
    assert level_curve(rows([(1, 5.0), (1, 4.0), (2, None)], [None] * 3)) is None


def test_undistorted_images_begin_every_curve() -> None:
    predictions = [
        prediction("m", 0, 5.0, distortion="pristine", level=0),
        prediction("m", 1, 4.0, distortion="blur", level=1),
        prediction("m", 2, 4.5, distortion="noise", level=1),
    ]
    section = monotonicity_section(
        ReportInputs(training=(), predictions=tuple(predictions), measurements=(), differences=())
    )
    assert [row[1:8] for row in section.tables[0].rows] == [
        ("blur", "m", "0 to 1", "1 of 1", "100.0%", "0.0%", "1"),  # labels are the numbers 0, 1, 2
        ("noise", "m", "0 to 1", "1 of 1", "100.0%", "0.0%", "1"),
    ]
    axes = section.drawings[0].figure.get_axes()
    assert [place.get_title() for place in axes] == ["blur", "noise"]
    assert axes[0].get_lines()[0].get_ydata().tolist() == [5.0, 4.0]
