"""The answers of a whole step -> its reward table."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ray_iqa.answers.parse import is_well_formed, parse
from ray_iqa.answers.prompt import Prompt
from ray_iqa.config.reward import RewardConfig, RewardTerm
from ray_iqa.data.label_maps import LabelRanges, oriented_mos
from ray_iqa.rewards.comparability import comparable, opponents
from ray_iqa.rewards.terms import RANKING, RewardStep, Term, earned, load_terms
from ray_iqa.types import Answer, LabelledImage, RewardTable, RolloutGroup

Bools = NDArray[np.bool_]


class GroupRewardScorer:
    """Rewards a step's groups together (`ray_iqa.protocols.RewardScorer`).

    The built-in terms of a completion without a readable score earn nothing, its format neither: a departure from the
    published code, which rewards the format of an unreadable answer.
    """

    def __init__(
        self,
        config: RewardConfig,
        prompts: Mapping[str | None, Prompt],
        label_ranges: LabelRanges | None = None,
        terms: Sequence[tuple[RewardTerm, Term]] | None = None,
    ) -> None:
        """Score answers to ``prompts``.

        Args:
            config: section ``reward``.
            prompts: what the completions answer, by `LabelledImage.question`.
            label_ranges: of every training dataset (`ray_iqa.data.label_maps.found_ranges`), for the terms that
                compare scores with labels.
            terms: `load_terms` of both, where they were loaded elsewhere.

        Raises:
            ConfigError: as `load_terms`.
        """
        self._config, self._prompts, self._label_ranges = config, prompts, label_ranges or {}
        self._terms = load_terms(config, self._label_ranges) if terms is None else terms

    def score(self, groups: Sequence[RolloutGroup]) -> RewardTable:
        """Rewards of all groups of a step; see `RewardTable` for what each field holds.

        Every group has the same number of completions. The result follows the order of ``groups`` and depends on it
        only through ``pairing_block``.

        Raises:
            ConfigError: a term of the user's fails.
        """
        images = [group.image for group in groups]
        scores, well_formed, complete = self._read(groups)
        pairs = comparable([image.label_scale for image in images], self._config.pairing_block)
        parsed = ~np.isnan(scores)
        met = opponents(scores, pairs)
        ranked = {term.question for term, _ in self._terms if term.term in RANKING}
        is_ranked = np.array([image.question in ranked for image in images], dtype=np.bool_)  # [B]
        opposed = met.any(axis=1) | ~is_ranked
        compared = met & parsed.any(axis=1, keepdims=True) & is_ranked[:, None]
        num_pairs, mean_label_gap = _pair_statistics(images, compared)

        terms, rewards = {}, np.zeros(scores.shape)
        for term, function in self._terms:
            values = np.full(scores.shape, np.nan)
            asked = [place for place, image in enumerate(images) if image.question == term.question]
            if asked:
                members, inside = [groups[place] for place in asked], pairs[np.ix_(asked, asked)]
                step = self._step(members, scores[asked], well_formed[asked], inside)
                values[asked] = earned(term, function, step) * complete[asked]
            if term.term in RANKING:
                values[~opposed] = np.nan
            terms[term.name] = values.astype(np.float32)
            rewards += term.weight * np.nan_to_num(values)
        return RewardTable(
            scores=scores.astype(np.float32),
            parsed=parsed,
            terms=terms,
            rewards=rewards.astype(np.float32),
            trainable=complete,
            opposed=opposed,
            num_pairs=num_pairs,
            mean_label_gap=mean_label_gap,
        )

    def _step(
        self, groups: list[RolloutGroup], scores: NDArray[np.float64], well_formed: Bools, comparable: Bools
    ) -> RewardStep:
        images = [group.image for group in groups]
        return RewardStep(
            answers=[[item.text for item in group.completions] for group in groups],
            num_tokens=np.array([[len(item.token_ids) for item in group.completions] for group in groups]),
            well_formed=well_formed,
            scores=scores,
            images=images,
            labels=oriented_mos(images),
            comparable=comparable,
            scale=self._prompts[images[0].question].scale,
            label_ranges=self._label_ranges,
            settings=self._config,
        )

    def _read(self, groups: Sequence[RolloutGroup]) -> tuple[NDArray[np.float64], Bools, Bools]:
        """Scores (NaN if unread), which of the read are well formed, which were not aborted; all [B, K]."""
        shape = len(groups), len(groups[0].completions) if groups else 0
        scores = np.full(shape, np.nan)
        well_formed, complete = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
        for i, group in enumerate(groups):
            prompt = self._prompts[group.image.question]
            for k, completion in enumerate(group.completions):
                if completion.finish_reason == "abort":
                    continue
                complete[i, k] = True
                answer = parse(completion.text, prompt, self._config.parser)
                if isinstance(answer, Answer):
                    scores[i, k] = answer.score
                if isinstance(answer, Answer) or prompt.answer_format == "object":
                    well_formed[i, k] = is_well_formed(completion.text, prompt)
        return scores, well_formed, complete


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
