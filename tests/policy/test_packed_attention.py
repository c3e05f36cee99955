"""Packed attention beside attention cut into pieces, which other tests hold against whole models."""

import pytest
import torch

from ray_iqa.policy.group_attention import _attention

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
SPANS = ((7, 3, 300, 1), (64, 40, 40), (1, 5, 9))
OPTIONS = {"scaling": 0.2, "dropout": 0.0, "is_causal": True}


class _Heads(torch.nn.Module):
    num_key_value_groups = 4
    training = False


def _tensors(length: int, heads: tuple[int, int], size: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, count, length, size, generator=generator) for count in (heads[0], heads[1], heads[1])]


@pytest.mark.gpu
@NEEDS_GPU
def test_groups_in_one_call_equal_groups_in_pieces() -> None:
    length = sum(map(sum, SPANS))
    exact = [tensor.requires_grad_() for tensor in _tensors(length, (8, 2), 64)]
    packed = [tensor.detach().cuda().bfloat16().requires_grad_() for tensor in exact]
    expected, _ = _attention(_Heads(), *exact, None, SPANS, **OPTIONS)
    found, _ = _attention(_Heads(), *packed, None, SPANS, **OPTIONS)
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (expected * weights).sum().backward()
    (found.float() * weights.cuda()).sum().backward()
    assert found.shape == expected.shape
    assert _relative(found, expected) < 1e-2
    for ours, theirs in zip(packed, exact, strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert _relative(ours.grad, theirs.grad) < 2e-2


def _relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.detach().float().cpu() - expected.detach()).norm() / expected.detach().norm())
