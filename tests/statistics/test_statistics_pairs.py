import pytest

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.pairs import pair_accuracy


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
