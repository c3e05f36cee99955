"""Packed attention beside attention cut into pieces, which other tests hold against whole models."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from ray_iqa.policy.group_attention import _attention
from ray_iqa.policy.packed_attention import _windows, attend_to_windows
from ray_iqa.quickstart.tiny_policy import build_tiny_policy

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
SPANS = ((7, 3, 300, 1), (64, 40, 40), (1, 5, 9))
OPTIONS = {"scaling": 0.2, "dropout": 0.0, "is_causal": True}


class _Heads(torch.nn.Module):
    num_key_value_groups = 4
    training = False


def _tensors(length: int, heads: tuple[int, int], size: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, count, length, size, generator=generator) for count in (heads[0], heads[1], heads[1])]


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_a_vision_tower_sees_the_same_with_all_windows_handed_over_at_once(tmp_path: Path, family: str) -> None:
    folder = build_tiny_policy(tmp_path, family)
    tower = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).model.visual.eval()
    grids = torch.tensor([[1, 20, 12], [1, 4, 8]])
    patches = torch.randn(20 * 12 + 32, tower.patch_embed.proj.weight[0].numel())
    expected = tower(patches, grid_thw=grids).pooler_output
    attend_to_windows(tower)
    found = tower(patches, grid_thw=grids).pooler_output
    torch.testing.assert_close(torch.cat(list(found)), torch.cat(list(expected)), atol=1e-6, rtol=1e-5)


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


@pytest.mark.gpu
@NEEDS_GPU
def test_windows_in_one_call_equal_windows_in_pieces() -> None:
    tensors = _tensors(64 + 64 + 16, (4, 4), 80)
    starts = torch.tensor([0, 64, 128, 144])
    options = {"scaling": 0.1, "max_length_q": 64}
    expected, _ = _windows(_Heads(), *tensors, None, cu_seq_lens_q=starts, **options)
    moved = [tensor.cuda().bfloat16() for tensor in tensors]
    found, _ = _windows(_Heads(), *moved, None, cu_seq_lens_q=starts.cuda(), **options)
    assert found.shape == expected.shape
    assert _relative(found, expected) < 1e-2


def _relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.detach().float().cpu() - expected.detach()).norm() / expected.detach().norm())
