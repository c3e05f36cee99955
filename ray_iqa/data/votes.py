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
    total = np.rint(np.asarray(mean, dtype=np.float64) * num_votes)
    half = 0.5 * 10.0**-digits * (1 + 1e-9)
    ends = np.maximum(np.asarray(std, dtype=np.float64) + np.array([[-half], [half]]), 0.0)
    lowest, highest = num_votes * ends**2 + total**2 / num_votes  # sum of squares
    fitting = np.ceil((lowest - total) / 2) * 2 + total
    return float((fitting <= highest).mean())
