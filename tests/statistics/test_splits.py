import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from ray_iqa.statistics.splits import NUM_SPLITS, split_median

RNG = np.random.default_rng(0)
LABELS = RNG.normal(size=100)
SCORES = LABELS + RNG.normal(size=100)
CONTENTS = [f"c{number % 20:02d}" for number in range(100)]


def test_it_is_the_median_over_test_parts_of_whole_contents() -> None:
    rng, names = np.random.default_rng(7), np.unique(CONTENTS)
    expected = []
    for _ in range(NUM_SPLITS):
        test = set(names[rng.permutation(20)[:4]])  # a fifth
        rows = [number for number, name in enumerate(CONTENTS) if name in test]
        assert len(rows) == 20
        expected.append(
            (spearmanr(SCORES[rows], LABELS[rows]).statistic, pearsonr(SCORES[rows], LABELS[rows]).statistic)
        )
    found = split_median(SCORES, LABELS, contents=CONTENTS, seed=7)
    assert (found.srcc, found.plcc) == pytest.approx(tuple(np.median(expected, axis=0)))


def test_the_order_of_images_does_not_matter_and_the_seed_does() -> None:
    order = RNG.permutation(100)
    shuffled = split_median(SCORES[order], LABELS[order], contents=[CONTENTS[i] for i in order])
    assert shuffled.srcc == pytest.approx(split_median(SCORES, LABELS, contents=CONTENTS).srcc)
    assert split_median(SCORES, LABELS, seed=1) != split_median(SCORES, LABELS, seed=2)


def test_too_few_contents_or_images_have_none() -> None:
    few = split_median(SCORES[:14], LABELS[:14])  # test parts of three
    assert np.isfinite([few.srcc, few.plcc]).all()
    for found in (split_median(SCORES[:12], LABELS[:12]), split_median(SCORES, LABELS, contents=["a", "b"] * 50)):
        assert np.isnan([found.srcc, found.plcc]).all()
