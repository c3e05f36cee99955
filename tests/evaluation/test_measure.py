"""One model on one dataset: numbers against scipy, scenes, failures."""

from dataclasses import replace

import numpy as np
import pytest
from prediction_rows import rows_of
from scipy.stats import kendalltau, pearsonr, spearmanr

from ray_iqa.evaluation.measure import measure


def noisy(num_images: int, seed: int = 0) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(seed)
    mos = rng.uniform(0, 10, num_images)
    return np.round(mos + rng.normal(0, 2, num_images)).tolist(), mos.tolist()


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_correlations_are_those_of_scipy_oriented(direction: str) -> None:
    scores, mos = noisy(60)
    found = measure(rows_of(scores, mos, direction), "greedy", seed=0)
    sign = 1 if direction == "higher" else -1
    assert found.srcc == pytest.approx(sign * spearmanr(scores, mos).statistic, abs=1e-9)
    assert found.plcc == pytest.approx(sign * pearsonr(scores, mos).statistic, abs=1e-9)
    assert found.krcc == pytest.approx(sign * kendalltau(scores, mos).statistic, abs=1e-9)
    assert found.srcc_low < found.srcc < found.srcc_high
    assert (found.decoding, found.protocol, found.resampled) == ("greedy", "pooled", "images")
    _, counts = np.unique(scores, return_counts=True)
    assert found.n_distinct == len(counts)
    assert found.n_ties == sum(count * (count - 1) // 2 for count in counts)


def test_failed_images_are_counted_and_left_out() -> None:
    scores, mos = noisy(30)
    with_failures = [None if number % 3 == 0 else score for number, score in enumerate(scores)]
    found = measure(rows_of(with_failures, mos), "greedy", seed=0)
    assert (found.n, found.n_failed) == (20, 10)
    kept = [number for number in range(30) if number % 3]
    assert found.srcc == pytest.approx(spearmanr([scores[i] for i in kept], [mos[i] for i in kept]).statistic)


def test_versions_of_a_reference_are_drawn_together() -> None:
    scores, mos = noisy(60)
    rows = [replace(row, ref_id=str(number // 10)) for number, row in enumerate(rows_of(scores, mos))]
    found = measure(rows, "greedy", seed=0)
    assert (found.resampled, found.num_resampled) == ("references", 6)
    assert np.isnan(found.srcc_low)
    assert found.note == "No interval and no test: 6 references, fewer than 12."
    assert found.srcc == measure(rows_of(scores, mos), "greedy", seed=0).srcc
    alone = [replace(row, ref_id=row.image_id) for row in rows]
    by_image = measure(alone, "greedy", seed=0)
    assert (by_image.resampled, by_image.num_resampled, by_image.note) == ("images", 60, "")
    one = measure([replace(row, ref_id="the same") for row in rows], "greedy", seed=0)
    assert (one.num_resampled, one.note[:11]) == (1, "No interval")
    holed = [replace(row, score=None) if number < 20 else row for number, row in enumerate(rows)]
    assert measure(holed, "greedy", seed=0).num_resampled == 4  # of the predicted images
    sixteen = measure([replace(row, ref_id=str(number % 16)) for number, row in enumerate(rows)], "greedy", seed=0)
    assert sixteen.srcc_low < sixteen.srcc < sixteen.srcc_high
    assert sixteen.note.startswith("Few references (16, below 20)")


def test_what_label_noise_decides_is_there_where_ratings_are_known() -> None:
    rows = [replace(row, mos_std=1.0) for row in rows_of(*noisy(60))]
    known, unknown = measure(rows, "greedy", 0, num_ratings=20), measure(rows, "greedy", 0)
    assert 0 < known.outlier_ratio < 1
    assert 0.5 < known.different_similar < known.better_worse < 1
    assert (unknown.outlier_ratio, unknown.different_similar, unknown.better_worse) == (None, None, None)
    assert known.srcc_split_median == pytest.approx(known.srcc, abs=0.15)


@pytest.mark.parametrize("factor", [1e300, 1e-300])
def test_scores_of_extreme_size_are_a_sentence_and_no_number(factor: float) -> None:
    scores, mos = noisy(30)
    found = measure(rows_of([score * factor for score in scores], mos), "as in the file", seed=0)
    assert (found.srcc, found.plcc, found.rmse) == (None, None, None)
    assert found.note.startswith("predictions ")


def test_scenes_are_never_pooled() -> None:
    rows = []
    for scene in range(4):
        scores, mos = noisy(12, seed=scene)
        shifted = [label + 100 * scene for label in mos]
        rows += [replace(row, scene_id=f"s{scene}") for row in rows_of(scores, shifted)]
    found = measure(rows, "greedy", seed=0)
    expected = [spearmanr(*noisy(12, seed=scene)).statistic for scene in range(4)]
    assert found.srcc == pytest.approx(np.mean(expected), abs=1e-9)
    assert found.srcc_median == pytest.approx(np.median(expected), abs=1e-9)
    assert (found.protocol, found.resampled, found.num_scenes) == ("mean over scenes", "scenes", 4)
    assert found.rmse is None
    assert "a pooled correlation would mix their scales" in found.note


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [([3.0] * 5, "all 5 predictions are 3.0"), ([None, None, None, 1.0, 2.0], "at least three predicted images")],
)
def test_what_has_no_answer_is_a_note_and_no_number(scores: list[float | None], sentence: str) -> None:
    found = measure(rows_of(scores, [1.0, 2.0, 3.0, 4.0, 5.0]), "greedy", seed=0)
    assert found.srcc is None
    assert sentence in found.note
