"""Groups and their advantages -> what a step trains on, and its updates."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ray_iqa.types import RolloutGroup, TrainingBatch, TrainingGroup


def build_training_batch(
    groups: Sequence[RolloutGroup],
    advantages: NDArray[np.float32],
    trainable: NDArray[np.bool_],
    *,
    keep_without_advantage: bool = True,
) -> TrainingBatch:
    """Keep the trainable completions of every group.

    A group without any is dropped. A group whose advantages are all 0 stays: the KL to the reference policy still acts
    on it, and dropping it would change the step's average. Where all advantages of the step are 0 it would act alone,
    and nothing would be learned: then the batch is empty.

    Args:
        groups: B, all sampled by one policy version.
        advantages: [B, K].
        trainable: [B, K].
        keep_without_advantage: False drops a group whose advantages are all 0, as DAPO's dynamic sampling does.

    Raises:
        ValueError: there is no group, or the groups come from different policy versions.
    """
    versions = {group.policy_version for group in groups}
    if len(versions) != 1:
        raise ValueError(f"all groups of a step must come from one policy version, got {sorted(versions)}")
    kept = [
        _training_group(group, row[mask], mask)
        for group, row, mask in zip(groups, advantages, trainable, strict=True)
        if mask.any() and (advantages if keep_without_advantage else row).any()
    ]
    return TrainingBatch(groups=tuple(kept), policy_version=versions.pop())


def mini_batches(batch: TrainingBatch, number: int) -> list[TrainingBatch]:
    """The batch's groups dealt out in turn, so that every dataset is in each part; fewer parts where groups are few."""
    return [replace(batch, groups=batch.groups[first::number]) for first in range(min(number, len(batch.groups)))]


def _training_group(group: RolloutGroup, advantages: NDArray[np.float32], mask: NDArray[np.bool_]) -> TrainingGroup:
    completions = [completion for completion, keep in zip(group.completions, mask, strict=True) if keep]
    return TrainingGroup(
        image_path=group.image.image_path,
        question=group.image.question,
        prompt_token_ids=group.prompt_token_ids,
        completions=tuple(completion.token_ids for completion in completions),
        logprobs=tuple(completion.logprobs for completion in completions),
        advantages=advantages,
    )
