"""A vision tower with our kernels beside the one of transformers."""

import copy
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from ray_iqa.config.policy import PolicyConfig
from ray_iqa.policy.loading import load_transformer
from ray_iqa.policy.vision_kernels import _windows, speed_up_vision
from ray_iqa.quickstart.tiny_policy import Family, build_tiny_policy

GRIDS = torch.tensor([[1, 20, 12], [1, 20, 12], [1, 4, 8]])  # patches a picture: whole windows and cut ones


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_pictures_of_many_sizes_give_the_features_and_gradients_of_transformers(tmp_path: Path, family: Family) -> None:
    model = AutoModelForImageTextToText.from_pretrained(build_tiny_policy(tmp_path, family), dtype=torch.float32)
    quick = copy.deepcopy(model)
    speed_up_vision(quick)
    generator = torch.Generator().manual_seed(0)
    num_values = model.model.visual.patch_embed.proj.weight[0].numel()
    patches = torch.randn(int(GRIDS.prod(1).sum()), num_values, generator=generator)
    towers = [one.model.visual for one in (model, quick)]
    expected, found = (torch.cat(list(tower(patches, grid_thw=GRIDS).pooler_output)) for tower in towers)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    weights = torch.randn(expected.shape, generator=generator)
    for features in (expected, found):
        (features * weights).sum().backward()
    others = dict(towers[1].named_parameters())
    for name, parameter in towers[0].named_parameters():
        if parameter.grad is not None:
            difference = (others[name].grad - parameter.grad).norm()
            assert difference <= 1e-5 * parameter.grad.norm(), name


def test_an_exported_policy_says_nothing_of_our_kernels(tmp_path: Path) -> None:
    policy = PolicyConfig(model=str(build_tiny_policy(tmp_path / "policy")), dtype="float32")
    load_transformer(policy).save_pretrained(tmp_path / "exported")
    assert "flash" not in (tmp_path / "exported" / "config.json").read_text()
    again = AutoModelForImageTextToText.from_pretrained(tmp_path / "exported")
    assert type(again.model.visual.patch_embed.proj) is torch.nn.Conv3d


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_windows_in_one_call_equal_windows_in_pieces() -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(1, 4, 64 + 64 + 16, 80, generator=generator) for _ in range(3)]
    starts = torch.tensor([0, 64, 128, 144])
    options = {"scaling": 0.1, "max_length_q": 64}
    expected, _ = _windows(torch.nn.Identity(), *tensors, None, cu_seq_lens_q=starts, **options)
    moved = [tensor.cuda().bfloat16() for tensor in tensors]
    found, _ = _windows(torch.nn.Identity(), *moved, None, cu_seq_lens_q=starts.cuda(), **options)
    assert found.shape == expected.shape
    assert (found.float().cpu() - expected).norm() < 1e-2 * expected.norm()
