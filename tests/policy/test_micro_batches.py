from itertools import pairwise

import numpy as np
import pytest

from ray_iqa.policy.micro_batches import MicroBatch, plan_micro_batches
from ray_iqa.types import TrainingGroup


def group(prompt: int, *lengths: int) -> TrainingGroup:
    return TrainingGroup(
        image_path="x.png",
        prompt_token_ids=np.zeros(prompt, dtype=np.int32),
        completions=tuple(np.zeros(length, dtype=np.int32) for length in lengths),
        logprobs=tuple(np.zeros(length, dtype=np.float32) for length in lengths),
        advantages=np.zeros(len(lengths), dtype=np.float32),
    )


def drawn_groups(count: int) -> list[TrainingGroup]:
    rng = np.random.default_rng(0)
    return [group(int(rng.integers(20, 400)), *rng.integers(1, 60, 4)) for _ in range(count)]


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("max_tokens", [1, 900, 10**6])
@pytest.mark.parametrize("share_prefix", [True, False])
def test_every_group_counts_once_and_ranks_run_equally_often(
    num_ranks: int, max_tokens: int, share_prefix: bool
) -> None:
    groups = drawn_groups(5)
    plans = plan_micro_batches(groups, num_ranks=num_ranks, max_tokens=max_tokens, share_prefix=share_prefix)
    assert len(plans) == num_ranks
    assert len({len(plan) for plan in plans}) == 1
    counted = [index for plan in plans for micro_batch in plan if micro_batch.counted for index in micro_batch.groups]
    assert sorted(counted) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("share_prefix", [True, False])
def test_a_forward_pass_is_as_full_as_the_limit_allows(share_prefix: bool) -> None:
    groups = drawn_groups(40)
    (plan,) = plan_micro_batches(groups, num_ranks=1, max_tokens=2_000, share_prefix=share_prefix)
    tokens = [computed_tokens([groups[index] for index in part.groups], share_prefix) for part in plan]
    assert all(count <= 2_000 or len(part.groups) == 1 for count, part in zip(tokens, plan, strict=True))
    for part, following in pairwise(plan):
        chosen = [groups[index] for index in (*part.groups, following.groups[0])]
        assert computed_tokens(chosen, share_prefix) > 2_000


def computed_tokens(groups: list[TrainingGroup], share_prefix: bool) -> int:
    if share_prefix:  # nothing is padded
        return sum(len(g.prompt_token_ids) + sum(map(len, g.completions)) for g in groups)
    rows = [len(g.prompt_token_ids) + len(completion) for g in groups for completion in g.completions]
    return len(rows) * max(rows)


def test_ranks_share_the_tokens_evenly() -> None:
    groups = drawn_groups(40)
    plans = plan_micro_batches(groups, num_ranks=2, max_tokens=10**6, share_prefix=True)
    loads = [
        sum(len(groups[i].prompt_token_ids) + sum(map(len, groups[i].completions)) for m in plan for i in m.groups)
        for plan in plans
    ]
    assert max(loads) < 1.02 * min(loads)


def test_a_rank_without_groups_repeats_the_smallest_uncounted() -> None:
    plans = plan_micro_batches([group(9, 3), group(5, 2)], num_ranks=3, max_tokens=100, share_prefix=True)
    assert plans[2] == [MicroBatch(groups=(1,), counted=False)]
