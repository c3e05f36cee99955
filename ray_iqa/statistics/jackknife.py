"""How far a statistic could move with another draw of contents, and whether it differs from zero.

Contents (references, scenes, or pictures where each shows its own) are independent of each other; versions of one
content are not. So a statistic is taken anew without each content in turn (delete-one jackknife; Efron and Stein 1981).
Its spread, with Student's quantile, covers with few contents what a percentile bootstrap does not: the table in
docs/statistics.md is a simulation of both. Degrees of freedom are three quarters of those of equally noisy contents,
because a few noisy ones carry much of the spread; the simulation chose the share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from ray_iqa.errors import StatisticsError

Vector = NDArray[np.float64]
Rows = NDArray[np.intp]
Interval = tuple[float, float]

FEWEST_CONTENTS = 12  # below, no coverage of 93 % was shown, and there is neither interval nor test
FEW_CONTENTS = 20  # below, an interval comes with a warning
_MOST_PARTS = 200  # more contents are dealt into so many parts, which are left out instead
_SHARE_OF_FREEDOM = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A statistic and its standard error, of any shape; the error is NaN where there are too few contents."""

    value: Vector
    error: Vector
    freedom: float  # degrees of freedom of the error

    @property
    def interval(self) -> tuple[Vector, Vector]:
        """Ends of the 95 % interval."""
        half = student.ppf(0.975, self.freedom) * self.error
        return self.value - half, self.value + half

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided, of a single statistic that equals ``null`` in truth; NaN without an error."""
        gap, error = abs(float(self.value) - null), float(self.error)
        return float(gap == 0) if error == 0 else float(2 * student.sf(gap / error, self.freedom))


def jackknife(statistic: Callable[[Rows], ArrayLike], contents: Sequence[str] | Rows, *, seed: int = 0) -> Estimate:
    """Estimate ``statistic`` and its standard error by leaving out one content at a time.

    Args:
        statistic: of the images whose numbers it is given, [m]; NaN where it does not exist.
        contents: [n], of each image.
        seed: deals contents into parts where there are more than 200, and does nothing else.

    Returns:
        Error NaN with fewer than ``FEWEST_CONTENTS``, or where one content alone lets the statistic exist.
    """
    found, content_of = np.unique(np.asarray(contents), return_inverse=True)
    value = np.asarray(statistic(np.arange(len(content_of))), dtype=np.float64)
    count = min(len(found), _MOST_PARTS)
    if count < FEWEST_CONTENTS:
        return Estimate(value=value, error=np.full_like(value, np.nan), freedom=1.0)
    if count < len(found):
        content_of = np.random.default_rng(seed).permutation(np.arange(len(found)) % count)[content_of]
    without = np.array([statistic(np.flatnonzero(content_of != part)) for part in range(count)], dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.sqrt((count - 1) / count * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    return Estimate(
        value=value, error=np.where(np.isfinite(error), error, np.nan), freedom=_SHARE_OF_FREEDOM * (count - 1)
    )


def single_interval(estimate: Estimate) -> Interval:
    """Ends of the interval of a single statistic; (NaN, NaN) where there is none."""
    low, high = estimate.interval
    return float(low), float(high)


def checked_contents(contents: Sequence[str] | None, num_images: int) -> Sequence[str] | Rows:
    """One content per image; each image its own where ``contents`` is None.

    Raises:
        StatisticsError: their number is not that of the images.
    """
    if contents is None:
        return np.arange(num_images)
    if len(contents) != num_images:
        raise StatisticsError(f"every image needs its content, got {len(contents)} contents for {num_images} images")
    return contents


def scarcity(num_contents: int, kind: str) -> str:
    """A sentence about intervals of few contents; empty where there are enough.

    Args:
        num_contents: that were left out in turn.
        kind: what they are, in the plural.
    """
    if num_contents < FEWEST_CONTENTS:
        return f"No interval and no test: {num_contents} {kind}, fewer than {FEWEST_CONTENTS}."
    if num_contents < FEW_CONTENTS:
        return f"Few {kind} ({num_contents}, below {FEW_CONTENTS}): intervals are rough."
    return ""
