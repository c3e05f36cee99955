"""Fewer bits: how far scores move, what stays exact, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ray_iqa.errors import ConfigError
from ray_iqa.rali.scorer import RaliScorer


@pytest.fixture
def folder(random_scorer: RaliScorer, tmp_path: Path) -> Path:
    random_scorer.save(tmp_path / "scorer")
    return tmp_path / "scorer"


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_scores_move_a_little_and_the_artifact_keeps_its_weights(
    folder: Path, precision: str, pictures: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    exact = [row.value for row in RaliScorer.load(folder).score(pictures)]
    scorer = RaliScorer.load(folder, precision=precision)
    found = [row.value for row in scorer.score(pictures)]
    assert 0 < np.abs(np.subtract(found, exact)).max() < 0.25
    scorer.save(tmp_path / "saved")
    assert [row.value for row in RaliScorer.load(tmp_path / "saved").score(pictures)] == exact


def test_int8_keeps_weights_of_linear_layers_in_8_bits(folder: Path) -> None:
    tower = RaliScorer.load(folder, precision="int8")._tower
    kept = tower.transformer.resblocks[0].mlp.c_fc.weight()
    assert kept.dtype == torch.qint8


def test_bf16_has_gradients_and_int8_refuses_them(folder: Path) -> None:
    images = torch.rand(2, 3, 56, 56, generator=torch.Generator().manual_seed(0), requires_grad=True)
    RaliScorer.load(folder, precision="bf16").differentiable(images).sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().max()) > 0
    with pytest.raises(ConfigError, match="int8 has no gradients; load it with fp32 or bf16"):
        RaliScorer.load(folder, precision="int8").differentiable(images)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_device_that_is_not_there_is_one_sentence(folder: Path, precision: str) -> None:
    with pytest.raises(ConfigError, match="device must be one that torch finds here, got 'nowhere'"):
        RaliScorer.load(folder, "nowhere", precision)


def test_int8_runs_on_a_cpu_only(folder: Path) -> None:
    with pytest.raises(ConfigError, match="int8 needs device cpu, got 'cuda'"):
        RaliScorer.load(folder, "cuda", "int8")
