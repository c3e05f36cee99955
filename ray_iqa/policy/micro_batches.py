"""Which rank runs which groups, in which forward passes.

Every rank computes the same plan from the whole step, so nothing has to be communicated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ray_iqa.types import TrainingGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """Groups of one forward pass. One that is not ``counted`` has no weight in the loss.

    Ranks that shard parameters or gradients must run equally many forward passes; who has nothing left to
    do runs a small group once more without counting it.
    """

    groups: tuple[int, ...]  # indices into the step's groups
    counted: bool = True


def plan_micro_batches(
    groups: Sequence[TrainingGroup], *, num_ranks: int, max_tokens: int, share_prefix: bool
) -> list[list[MicroBatch]]:
    """The forward passes of every rank, equally many each.

    Whole groups go to the rank with the fewest tokens so far, longest first. A forward pass takes groups until their
    tokens would exceed ``max_tokens``; a single group may exceed it. Groups that share their prompts need no padding;
    rows of completions are padded to the longest, so rows of similar length go together.

    Args:
        groups: of the whole step, at least one.
        num_ranks: W.
        max_tokens: upper bound of tokens, padding included, in one forward pass.
        share_prefix: whole groups in one row instead of one row per completion.
    """
    shapes = [_shape(group, share_prefix=share_prefix) for group in groups]
    longest_first = sorted(range(len(groups)), key=lambda index: (-shapes[index][0] * shapes[index][1], index))
    shares: list[list[int]] = [[] for _ in range(num_ranks)]
    loads = [0] * num_ranks
    for index in longest_first:
        rank = loads.index(min(loads))
        shares[rank].append(index)
        loads[rank] += shapes[index][0] * shapes[index][1]
    plans = [_pack(share, shapes, max_tokens, padded=not share_prefix) for share in shares]
    idle = MicroBatch(groups=(longest_first[-1],), counted=False)
    most = max(len(plan) for plan in plans)
    return [[*plan, *[idle] * (most - len(plan))] for plan in plans]


def _pack(
    share: Sequence[int], shapes: Sequence[tuple[int, int]], max_tokens: int, *, padded: bool
) -> list[MicroBatch]:
    packed: list[list[int]] = []
    tokens = width = 0
    for index in sorted(share, key=lambda index: (-shapes[index][1], index)):
        rows, length = shapes[index]
        # Sorted by length: the first group of a forward pass is its longest.
        more = rows * (width if padded else length)
        if packed and tokens + more <= max_tokens:
            packed[-1].append(index)
            tokens += more
        else:
            packed.append([index])
            tokens, width = rows * length, length
    return [MicroBatch(groups=tuple(indices)) for indices in packed]


def _shape(group: TrainingGroup, *, share_prefix: bool) -> tuple[int, int]:
    """Rows and tokens per row of one group."""
    lengths = [len(completion) for completion in group.completions]
    prompt = len(group.prompt_token_ids)
    return (1, prompt + sum(lengths)) if share_prefix else (len(lengths), prompt + max(lengths))
