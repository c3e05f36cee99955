"""Correlations on repeated random test parts, as LIQE, HyperIQA and pyiqa report them: the median over splits.

Their models are trained anew for each split; here the predictions at hand are measured on each test part, which is the
same where a model saw none of the dataset. Contents are dealt whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from ray_iqa.statistics.correlation import rowwise_pearson, scores_and_labels
from ray_iqa.statistics.jackknife import checked_contents

NUM_SPLITS, TEST_SHARE = 10, 0.2
_FEWEST_IMAGES = 3  # of a test part; two always correlate perfectly


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitMedian:
    """Medians over the splits; NaN where the correlation of one of them does not exist."""

    srcc: float
    plcc: float  # of the raw predictions


def split_median(
    predictions: ArrayLike, labels: ArrayLike, *, contents: Sequence[str] | None = None, seed: int = 0
) -> SplitMedian:
    """Median correlations over 10 random test parts of a fifth of the contents each.

    Args:
        predictions: [n].
        labels: [n].
        contents: [n], of each image; None where every image is a content of its own.
        seed: the same seed gives the same splits.

    Raises:
        StatisticsError: as the correlations do, or the number of contents is wrong.
    """
    x, y = scores_and_labels(predictions, labels)
    found, content_of = np.unique(np.asarray(checked_contents(contents, len(x))), return_inverse=True)
    rng = np.random.default_rng(seed)
    values = np.full((NUM_SPLITS, 2), np.nan)
    for row in values:
        test = rng.permutation(len(found))[: round(TEST_SHARE * len(found))]
        rows = np.flatnonzero(np.isin(content_of, test))
        if len(rows) >= _FEWEST_IMAGES:
            a, b = x[rows], y[rows]
            row[:] = rowwise_pearson(rankdata(a), rankdata(b)), rowwise_pearson(a, b)
    rank, linear = np.median(values, axis=0)
    return SplitMedian(srcc=float(rank), plcc=float(linear))
