"""Two models on the same images: sign, failures, Holm, scenes, contents."""

from dataclasses import replace

import numpy as np
import pytest
from prediction_rows import rows_of

from ray_iqa.evaluation.differences import Difference, corrected, difference
from ray_iqa.evaluation.records import PredictionRow


def pair(num_images: int = 80) -> tuple[list[PredictionRow], list[PredictionRow]]:
    rng = np.random.default_rng(0)
    mos = rng.uniform(0, 10, num_images)
    good, bad = mos + rng.normal(0, 1, num_images), mos + rng.normal(0, 4, num_images)
    second = [replace(row, model="bad") for row in rows_of(bad.tolist(), mos.tolist())]
    return rows_of(good.tolist(), mos.tolist()), second


def test_a_real_difference_is_found_with_its_sign() -> None:
    good, bad = pair()
    found = difference(good, bad, seed=0)
    assert (found.first, found.second, found.n) == ("m", "bad", 80)
    assert 0 < found.srcc_low < found.srcc_difference < found.srcc_high
    assert found.p_value < 0.01
    assert found.variance_ratio < 1
    assert found.variance_p_value < 0.01
    back = difference(bad, good, seed=0)
    assert back.srcc_difference == pytest.approx(-found.srcc_difference)
    assert back.variance_ratio == pytest.approx(1 / found.variance_ratio)


def test_the_direction_of_the_labels_does_not_matter() -> None:
    good, bad = pair()
    turned = [[replace(row, mos=10 - row.mos, direction="lower") for row in rows] for rows in (good, bad)]
    assert difference(*turned, seed=0).srcc_difference == pytest.approx(difference(good, bad, seed=0).srcc_difference)


def test_only_images_that_both_predicted_count() -> None:
    good, bad = pair()
    holed = [replace(row, score=None) if number < 5 else row for number, row in enumerate(good)]
    assert difference(holed, bad, seed=0).n == 75
    assert difference([replace(row, score=None) for row in good], bad, seed=0).note.startswith("Fewer than three")


def test_equal_models_differ_by_nothing() -> None:
    good, _ = pair()
    found = difference(good, [replace(row, model="again") for row in good], seed=0)
    assert (found.srcc_difference, found.p_value) == (0.0, 1.0)
    assert found.variance_p_value is None
    assert "residuals" in found.note


def test_scenes_are_what_differs() -> None:
    good, bad = ([replace(row, scene_id=str(n % 8)) for n, row in enumerate(rows)] for rows in pair(160))
    found = difference(*([replace(row, scene_id=str(n % 16)) for n, row in enumerate(rows)] for rows in (good, bad)), 0)
    assert 0 < found.srcc_low < found.srcc_difference
    assert (found.variance_ratio, found.num_contents) == (None, 16)
    few = difference(good, bad, seed=0)
    assert (few.srcc_low, few.p_value, few.num_contents) == (None, None, 8)
    assert "8 scenes, fewer than 12" in few.note


def test_versions_of_a_reference_are_one_content() -> None:
    """Equally good scorers whose errors are those of the reference: images of one say the same ten times."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(40):
        content = np.repeat(np.arange(16), 10)
        mos = rng.uniform(0, 10, 160)
        rows = [
            [
                replace(row, model=model, ref_id=f"r{reference}")
                for row, reference in zip(rows_of(scores.tolist(), mos.tolist()), content, strict=True)
            ]
            for model in ("a", "b")
            for scores in [mos + rng.normal(0, 2, 16)[content] + rng.normal(0, 0.5, 160)]
        ]
        found.append(difference(*rows, seed=0))
    assert {item.num_contents for item in found} == {16}
    assert np.mean([item.variance_p_value < 0.05 for item in found]) <= 0.1
    assert np.mean([item.p_value < 0.05 for item in found]) <= 0.1


def test_a_tolerance_is_what_the_test_is_about() -> None:
    good, bad = pair()
    lost = difference(bad, good, seed=0)
    assert lost.p_value < 0.01
    assert difference(bad, good, seed=0, tolerance=-lost.srcc_difference).p_value == pytest.approx(1)


def test_holm_corrects_over_pairs_and_datasets() -> None:
    raw = [
        Difference(dataset=name, first="a", second=str(n), n=9, p_value=p)
        for name, values in (("x", (0.01, 0.04, None, 0.03)), ("y", (0.04,)))
        for n, p in enumerate(values)
    ]
    assert [item.p_holm for item in corrected(raw)] == pytest.approx([0.04, 0.09, None, 0.09, 0.09])
