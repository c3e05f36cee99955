"""Which images may be compared, and averaging over those comparisons.

Departure from the published code, where an image meets only the images that happen to share its GPU: here the
label scale decides (the dataset, or its scene where scenes have scales of their own), and a block size when the
paper's small groups are wanted.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]
_BLOCK_ELEMENTS = 2**15  # of a [b, B', K] intermediate: 256 KiB in float64, which stays in cache


def comparable(label_scales: Sequence[Hashable], pairing_block: int | None) -> NDArray[np.bool_]:
    """Whether two images of a step share a label scale (and a block); never an image with itself.

    Args:
        label_scales: of the B images, in the step's order; see `LabelledImage.label_scale`.
        pairing_block: the images of every scale are cut, in the step's order, into even blocks of this size or,
            where it does not divide their number, a little more; only images of one block are compared. 8
            reproduces the paper. None compares all images of a scale.

    Returns:
        [B, B], symmetric.
    """
    number_of = {scale: number for number, scale in enumerate(dict.fromkeys(label_scales))}
    numbers = np.array([number_of[scale] for scale in label_scales], dtype=np.int64)
    group = np.zeros(len(numbers), dtype=np.int64)  # blocks are numbered through all scales
    for number in range(len(number_of)):
        members = np.flatnonzero(numbers == number)
        num_blocks = max(1, len(members) // pairing_block) if pairing_block else 1
        group[members] = group.max() + 1 + np.arange(len(members)) * num_blocks // len(members)
    return (group[:, None] == group[None, :]) & ~np.eye(len(numbers), dtype=np.bool_)


def opponents(scores: NDArray[np.floating], comparable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Entry [i, j]: image i can be compared with image j, which has at least two readable scores.

    Args:
        scores: [B, K], NaN where unread.
        comparable: [B, B].
    """
    enough = (~np.isnan(scores)).sum(axis=1) >= 2
    return comparable & enough[None, :]


def mean_over_opponents(
    pair_rewards: Callable[[Indices, Indices], NDArray[np.float64]],
    scores: NDArray[np.floating],
    opponents: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Average what each score earns against each opponent; 0 for unread scores and images without opponent.

    Args:
        pair_rewards: indices of b images and of B' others -> what the scores of the first earn, [b, B', K]; called
            for few images at a time, which bounds memory. Values against images that are no opponents are ignored,
            NaN included.
        scores: [B, K], NaN where unread.
        opponents: [B, B].

    Returns:
        [B, K].
    """
    rewards = np.zeros(scores.shape)
    for images, others in _blocks(opponents, scores.shape[1]):
        weights = opponents[np.ix_(images, others)]
        earned = np.where(weights[:, :, None], pair_rewards(images, others), 0.0)
        rewards[images] = earned.sum(axis=1) / np.maximum(weights.sum(axis=1), 1)[:, None]
    return np.where(np.isnan(scores), 0.0, rewards)


def _blocks(opponents: NDArray[np.bool_], num_scores: int) -> Iterator[tuple[Indices, Indices]]:
    """A few images at a time and all that any of them meets.

    Images are taken together when the first of themselves and their opponents is the same, as it is inside a dataset
    or block and nowhere else: across those nothing is computed.
    """
    if not len(opponents):
        return
    first = np.minimum(opponents.argmax(axis=1), np.arange(len(opponents)))
    order = np.argsort(first, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(first[order])) + 1):
        others = np.flatnonzero(opponents[members].any(axis=0))
        images_per_block = max(1, _BLOCK_ELEMENTS // max(1, len(others) * num_scores))
        for start in range(0, len(members) if len(others) else 0, images_per_block):
            yield members[start : start + images_per_block], others
