"""What whole-number ratings imply about their mean and spread."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def smallest_std_of_votes(mean: ArrayLike) -> NDArray[np.float64]:
    """Smallest standard deviation of whole-number ratings with that mean: all on the two neighbours of it.

    A variance below 1 is smaller than its root, so a variance given as a standard deviation falls below this.

    Args:
        mean: [n], in votes (a scale such as 1 to 5 in steps of 1).
    """
    fraction = np.mod(np.asarray(mean, dtype=np.float64), 1.0)
    return np.sqrt(fraction * (1 - fraction))


def share_below_votes(mean: ArrayLike, spread: ArrayLike) -> float:
    """Share of images whose ``spread`` cannot be the standard deviation of whole-number ratings."""
    slack = 0.02  # two decimals of the mean, filtered ratings
    return float((np.asarray(spread, dtype=np.float64) < smallest_std_of_votes(mean) - slack).mean())


def share_of_votes(mean: ArrayLike, std: ArrayLike, num_votes: int, digits: int) -> float:
    """Share of images whose ``std``, to its last digit, is that of some whole-number votes with that mean.

    The squares of whole numbers add up to a whole number, even where their sum is even and odd where it is odd. That
    leaves few standard deviations, so numbers that are something else (a variance, say) fit by chance only.

    Args:
        mean: [n], in votes, rounded finely enough to tell their sum.
        std: [n], population standard deviations, rounded.
        num_votes: votes per image.
        digits: decimals that ``std`` is rounded to.
    """
    ends = np.asarray(std, dtype=np.float64) + np.array([[-1], [1]]) * _half_digit(digits)
    return float(_have_spread(np.asarray(mean, dtype=np.float64), ends, num_votes).mean())


def num_votes_behind(mean: ArrayLike, standard_error: ArrayLike, digits: int) -> NDArray[np.int64]:
    """How many whole-number votes an image has, where its mean and standard error leave one number from 5 to 60 only.

    The standard error is the population standard deviation over the root of the number of votes. Which numbers of votes
    have such a mean, and such a sum of squares, `share_of_votes` explains.

    Args:
        mean: [n], in votes, rounded to ``digits``.
        standard_error: [n], rounded to ``digits``.
        digits: decimals of both.

    Returns:
        [n]; 0 where no number fits, or several do.
    """
    means, errors = np.asarray(mean, dtype=np.float64), np.asarray(standard_error, dtype=np.float64)
    half = _half_digit(digits)
    numbers = np.arange(5, 61)
    fitting = np.array(
        [
            (np.abs(np.rint(means * number) / number - means) <= half)
            & _have_spread(means, (errors + np.array([[-half], [half]])) * np.sqrt(number), int(number))
            for number in numbers
        ]
    )
    return np.where(fitting.sum(axis=0) == 1, numbers[fitting.argmax(axis=0)], 0)


def _half_digit(digits: int) -> float:
    return 0.5 * 10.0**-digits * (1 + 1e-9)


def _have_spread(means: NDArray[np.float64], ends: NDArray[np.float64], num_votes: int) -> NDArray[np.bool_]:
    """Whether some votes with that mean have a population standard deviation between two ends, [2, n]."""
    total = np.rint(means * num_votes)
    lowest, highest = num_votes * np.maximum(ends, 0.0) ** 2 + total**2 / num_votes  # sum of squares
    fitting: NDArray[np.float64] = np.ceil((lowest - total) / 2) * 2 + total
    return fitting <= highest
