"""How many bytes are whole at a time when weights are gathered."""

import torch
from torch.nn import Parameter

from ray_iqa.backends.weights.policy_weights import NamedWeight, gathered


def weight(name: str, size: int) -> NamedWeight:
    parameter = Parameter(torch.zeros(size))
    return NamedWeight(
        name=name, shape=(size,), dtype=torch.float32, sources=(parameter,), value=lambda: parameter.detach()
    )


def test_a_piece_has_at_most_the_bytes_asked_for_or_is_one_larger_weight() -> None:
    weights = [weight(str(index), size) for index, size in enumerate([10, 10, 5, 90, 10, 20, 5, 1])]
    pieces = list(gathered(weights, 100, is_sharded=False))  # 25 numbers
    assert [[value.numel() for _, value in piece] for piece in pieces] == [[10, 10, 5], [90], [10], [20, 5], [1]]
    assert [named.name for piece in pieces for named, _ in piece] == list("01234567")
