"""What a step's rewards look like, as numbers to log."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ray_iqa.rewards.thurstone import score_moments
from ray_iqa.types import RewardTable, RolloutGroup


def reward_metrics(
    groups: Sequence[RolloutGroup], table: RewardTable, advantages: NDArray[np.float32]
) -> dict[str, float]:
    """Names and values for one step; a mean over nothing is NaN.

    ``reward/*`` and ``completion/*`` are over completions that were not aborted (a term of the reward: those of images
    that it says something about), ``group/*`` over images. NaN is possible in ``reward/*`` and
    ``group/zero_advantage_fraction`` when nothing is trainable or had an opponent, in ``score/*`` and
    ``group/score_std`` when too few scores were readable, in ``pairs/label_gap`` without pairs and in ``completion/*``
    means when everything was aborted.

    Args:
        groups: B.
        table: fields [B, K].
        advantages: [B, K].
    """
    complete = np.array([[item.finish_reason != "abort" for item in group.completions] for group in groups])
    length = np.array([[len(item.token_ids) for item in group.completions] for group in groups])
    truncated = np.array([[item.finish_reason == "length" for item in group.completions] for group in groups])
    learned = table.trainable.any(axis=1)  # [B]
    moments = score_moments(table.scores)
    return {
        "reward/mean": _mean(table.rewards[table.trainable]),
        **{f"reward/{name}": _mean(values[complete & ~np.isnan(values)]) for name, values in table.terms.items()},
        "reward/parse_rate": _mean(table.parsed[complete]),
        "score/mean": _mean(moments.mean[moments.count >= 1]),
        "score/std_between_images": _std(moments.mean[moments.count >= 1]),
        "group/score_std": _mean(np.sqrt(moments.variance[moments.count >= 2])),
        "group/zero_advantage_fraction": _mean(np.abs(advantages).max(axis=1, initial=0.0)[learned] == 0),
        "group/no_opponent": float((learned & ~table.opposed).sum()),
        "group/failed": float(sum(group.problem is not None for group in groups)),
        "pairs/count": float(table.num_pairs),
        "pairs/label_gap": table.mean_label_gap,
        "completion/length_mean": _mean(length[complete]),
        "completion/length_max": float(length.max(initial=0)),
        "completion/truncated_fraction": _mean(truncated[complete]),
        "completion/tokens": float(length.sum()),
    }


def _mean(values: NDArray[np.floating | np.integer | np.bool_]) -> float:
    return float(np.mean(values, dtype=np.float64)) if values.size else float("nan")


def _std(values: NDArray[np.float64]) -> float:
    return float(np.std(values, ddof=1)) if values.size >= 2 else float("nan")
