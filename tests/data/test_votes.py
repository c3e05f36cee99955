import itertools

import numpy as np
import pytest

from ray_iqa.data.votes import num_votes_behind, share_below_votes, share_of_votes, smallest_std_of_votes


def test_no_set_of_five_votes_has_a_smaller_deviation() -> None:
    votes = np.array(list(itertools.combinations_with_replacement(range(1, 6), 5)))
    means, stds = votes.mean(axis=1), votes.std(axis=1)
    bound = smallest_std_of_votes(means)
    assert (stds >= bound - 1e-12).all()
    for mean in np.unique(means):
        assert stds[means == mean].min() == pytest.approx(smallest_std_of_votes(mean))


def test_variances_fall_below() -> None:
    votes = np.clip(np.rint(np.random.default_rng(0).normal(3.4, 0.6, size=(200, 30))), 1, 5)
    assert share_below_votes(votes.mean(axis=1), votes.std(axis=1)) == 0
    assert share_below_votes(votes.mean(axis=1), votes.var(axis=1)) > 0.5


def test_deviations_of_votes_are_told_from_variances_and_from_other_numbers() -> None:
    votes = np.clip(np.rint(np.random.default_rng(1).normal(3.0, 0.9, size=(500, 30))), 1, 5)
    means = votes.mean(axis=1).round(2)
    assert share_of_votes(means, votes.std(axis=1).round(3), 30, digits=3) == 1
    assert share_of_votes(means, votes.var(axis=1).round(3), 30, digits=3) < 0.1
    assert share_of_votes(means, votes.std(axis=1, ddof=1).round(3), 30, digits=3) < 0.1
    # 4.57 is 137 / 30: 17 fives and 13 fours deviate by 0.4955, and nothing else near that is possible.
    assert share_of_votes([4.57] * 3, [0.495, 0.496, 0.497], 30, digits=3) == pytest.approx(1 / 3)


def test_mean_and_standard_error_tell_the_number_of_votes() -> None:
    # The squared distances of 10 n votes from their mean of 3.3 add up to 2.1 n, 2.1 n + 2 and so on, and the squared
    # standard error is that over (10 n)^2: 4.2 / 400 and 6.3 / 900 are of 20 and of 30 votes, 2.1 / 100 is 52.5 / 2500.
    errors = [round(0.0105**0.5, 5), round(0.007**0.5, 5), round(0.021**0.5, 5)]
    assert list(num_votes_behind([3.3, 3.3, 3.3], errors, digits=5)) == [20, 30, 0]
    assert list(num_votes_behind([4.0, 3.3], [0.0, 0.2], digits=5)) == [0, 0]  # any number of equal votes; none at all
