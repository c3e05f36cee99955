import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.pairs import pair_accuracy, pair_classification


def test_ties_of_labels_do_not_count_and_ties_of_predictions_count_half() -> None:
    # Pairs with a gap: (1, 2), (1, 3) right, (2, 3) tied in the predictions; the pair of the two equal labels is out.
    accuracy = pair_accuracy([1, 2, 2, 0], [1, 2, 3, 1])
    right = [1, 1, 0.5, 1, 1]  # pairs 01, 02, 12, 13, 23
    assert accuracy.num_pairs == 5
    assert accuracy.value == pytest.approx(sum(right) / 5)


def test_a_real_gap_is_stated_or_comes_from_the_spread() -> None:
    labels = [1.0, 2.0, 4.0]
    assert pair_accuracy([1, 2, 3], labels, min_gap=1.5).num_pairs == 2
    # 2 sqrt(0.5^2 + 0.5^2) = 1.41
    assert pair_accuracy([1, 2, 3], labels, label_std=[0.5, 0.5, 0.5]).num_pairs == 2
    assert pair_accuracy([3, 2, 1], labels).value == 0


def test_labels_without_a_gap_are_refused() -> None:
    with pytest.raises(StatisticsError, match="a real gap"):
        pair_accuracy([1, 2], [3, 3])


def test_pairs_are_classified_as_krasula_does_by_hand() -> None:
    # Errors of 1: a gap is real above 1.645 sqrt(2) = 2.326. Of the labels 0, 2, 5 the pairs (0, 5) and (2, 5) are.
    found = pair_classification([1.0, 4.0, 3.0], [0.0, 2.0, 5.0], [1.0, 1.0, 1.0])
    assert (found.num_different, found.num_similar) == (2, 1)
    assert found.different_similar == 0.0  # gaps 2 and 1 of the different ones, 3 of the similar one
    assert found.better_worse == 0.75  # oriented gaps 2, -1 against -2, 1: 2 > -2, 2 > 1, -1 > -2, not -1 > 1
    apart = pair_classification([1.0, 4.0, 3.0], [0.0, 20.0, 50.0], [1.0, 1.0, 1.0])
    assert np.isnan(apart.different_similar)  # nothing is similar
    alike = pair_classification([1.0, 4.0], [0.0, 0.0], [0.0, 0.0])
    assert np.isnan([alike.different_similar, alike.better_worse]).all()


def test_pair_classification_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    mos, error = rng.uniform(1, 5, 60), rng.uniform(0.1, 0.5, 60)
    scores = np.round(mos + rng.normal(0, 1, 60), 1)  # with ties
    gaps = [(scores[i] - scores[j], mos[i] - mos[j], np.hypot(error[i], error[j])) for i in range(60) for j in range(i)]
    different = [norm.cdf(abs(label) / noise) >= 0.95 for _, label, noise in gaps]
    oriented = [score * np.sign(label) for (score, label, _), real in zip(gaps, different, strict=True) if real]
    found = pair_classification(scores, mos, error)
    assert found.different_similar == pytest.approx(roc_auc_score(different, [abs(score) for score, _, _ in gaps]))
    truth = [1] * len(oriented) + [0] * len(oriented)
    assert found.better_worse == pytest.approx(roc_auc_score(truth, [*oriented, *(-gap for gap in oriented)]))


def test_pairs_of_very_many_images_are_those_of_some() -> None:
    rng = np.random.default_rng(0)
    mos = rng.uniform(1, 5, 4000)
    found = pair_classification(mos + rng.normal(0, 1, 4000), mos, np.full(4000, 0.3))
    assert found.num_different + found.num_similar == 2000 * 1999 // 2
