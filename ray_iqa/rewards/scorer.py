"""The answers of a whole step -> its reward table."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ray_iqa.answers.parse import is_well_formed, parse
from ray_iqa.answers.prompt import Prompt
from ray_iqa.config.reward import RewardConfig
from ray_iqa.data.label_maps import LabelRanges, labels_on_scale, oriented_mos
from ray_iqa.errors import ConfigError
from ray_iqa.rewards.alternatives import (
    binary_rewards,
    gaussian_difference_rewards,
    probability_average_rewards,
    threshold_rewards,
)
from ray_iqa.rewards.comparability import comparable, opponents
from ray_iqa.rewards.fidelity import fidelity_rewards
from ray_iqa.types import Answer, LabelledImage, RewardTable, RolloutGroup


class GroupRewardScorer:
    """Rewards a step's groups together (`ray_iqa.protocols.RewardScorer`).

    The table's ``fidelity`` holds whichever reward ``config.type`` names. The format reward is added to it with its
    weight (published code only), with or without an opponent. A completion without a readable score earns neither:
    a departure from the published code, which rewards the format of an unreadable answer.
    """

    def __init__(self, config: RewardConfig, prompt: Prompt, label_ranges: LabelRanges | None = None) -> None:
        """Score answers to ``prompt``.

        Args:
            config: section ``reward``.
            prompt: what the completions answer.
            label_ranges: of every training dataset (`ray_iqa.data.label_maps.found_ranges`); needed by the types
                threshold and gaussian_difference, which compare scores with labels.

        Raises:
            ConfigError: the type needs label ranges and there are none.
        """
        if config.type in ("threshold", "gaussian_difference") and label_ranges is None:
            raise ConfigError(f"reward.type {config.type} needs the label range of every training dataset, got none")
        self._config, self._prompt, self._label_ranges = config, prompt, label_ranges or {}

    def score(self, groups: Sequence[RolloutGroup]) -> RewardTable:
        """Rewards of all groups of a step; see `RewardTable` for what each field holds.

        Every group has the same number of completions. The result follows the order of ``groups`` and depends on it
        only through ``pairing_block``.
        """
        images = [group.image for group in groups]
        scores, well_formed, complete = self._read(groups)
        pairs = comparable([image.label_scale for image in images], self._config.pairing_block)
        fidelity = self._fidelity(scores, images, pairs)
        parsed = ~np.isnan(scores)

        if self._config.type == "threshold":  # compares no images, so none lacks an opponent
            compared, opposed = np.zeros_like(pairs), np.full(len(images), True)
        else:
            met = opponents(scores, pairs)
            compared, opposed = met & parsed.any(axis=1, keepdims=True), np.logical_or.reduce(met, axis=1)
        num_pairs, mean_label_gap = _pair_statistics(images, compared)
        return RewardTable(
            scores=scores.astype(np.float32),
            parsed=parsed,
            fidelity=fidelity.astype(np.float32),
            format=well_formed.astype(np.float32),
            rewards=(fidelity + self._config.format_weight * well_formed).astype(np.float32),
            trainable=complete,
            opposed=opposed,
            num_pairs=num_pairs,
            mean_label_gap=mean_label_gap,
        )

    def _read(self, groups: Sequence[RolloutGroup]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Scores (NaN if unread), which of the read are well formed, which were not aborted; all [B, K]."""
        shape = len(groups), len(groups[0].completions) if groups else 0
        scores = np.full(shape, np.nan)
        well_formed, complete = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
        for i, group in enumerate(groups):
            for k, completion in enumerate(group.completions):
                if completion.finish_reason == "abort":
                    continue
                complete[i, k] = True
                answer = parse(completion.text, self._prompt, self._config.parser)
                if isinstance(answer, Answer):
                    scores[i, k] = answer.score
                    well_formed[i, k] = is_well_formed(completion.text, self._prompt)
        return scores, well_formed, complete

    def _fidelity(
        self, scores: NDArray[np.float64], images: Sequence[LabelledImage], pairs: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        config, mos = self._config, oriented_mos(images)
        floors = {"variance_floor": config.variance_floor, "fidelity_floor": config.fidelity_floor}
        match config.type:
            case "fidelity":
                return fidelity_rewards(scores, mos, pairs, **floors)
            case "binary":
                return binary_rewards(scores, mos, pairs)
            case "probability_average":
                return probability_average_rewards(scores, mos, pairs, **floors)
            case "fixed_variance":
                return probability_average_rewards(scores, mos, pairs, **floors, score_variance=1.0)
            case "threshold":
                return threshold_rewards(scores, self._labels(images), config.threshold)
            case "gaussian_difference":
                return gaussian_difference_rewards(scores, self._labels(images), pairs)

    def _labels(self, images: Sequence[LabelledImage]) -> NDArray[np.float64]:
        return labels_on_scale(images, self._label_ranges, self._prompt.scale)


def _pair_statistics(images: Sequence[LabelledImage], compared: NDArray[np.bool_]) -> tuple[int, float]:
    """Number of unordered pairs compared, and their mean label gap over their label scale's range in the step."""
    first, second = np.nonzero(np.triu(compared | compared.T))
    if not len(first):
        return 0, float("nan")
    mos = np.array([image.mos for image in images])
    scales = [image.label_scale for image in images]
    extents = {
        scale: np.ptp([image.mos for image in images if image.label_scale == scale]) or 1.0  # equal labels: gap 0
        for scale in set(scales)
    }
    extent = np.array([extents[scale] for scale in scales])
    return len(first), float((np.abs(mos[first] - mos[second]) / extent[first]).mean())
