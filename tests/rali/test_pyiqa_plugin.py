"""Without pyiqa one sentence; with it, the real thing."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from ray_iqa.errors import ConfigError
from ray_iqa.rali.pyiqa_plugin import NAME, LightNetwork, register
from ray_iqa.rali.scorer import RaliScorer

HAS_PYIQA = importlib.util.find_spec("pyiqa") is not None


@pytest.fixture
def folder(random_scorer: RaliScorer, tmp_path: Path) -> str:
    random_scorer.save(tmp_path / "scorer")
    return str(tmp_path / "scorer")


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(4, 3, 56, 56, generator=torch.Generator().manual_seed(0))


def test_the_network_scores_as_the_scorer_does_and_has_gradients(folder: str, images: torch.Tensor) -> None:
    expected = [row.value for row in RaliScorer.load(folder).score(images)]
    pixels = images.requires_grad_()
    scores = LightNetwork(folder)(pixels)
    np.testing.assert_allclose(scores.detach().numpy(), np.array(expected)[:, None], rtol=1e-5)
    scores.sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().sum() > 0


@pytest.mark.skipif(HAS_PYIQA, reason="pyiqa is installed here")
def test_without_pyiqa_one_sentence_says_so(folder: str) -> None:
    with pytest.raises(ConfigError, match="needs the package pyiqa; pip install pyiqa"):
        register(folder)


@pytest.mark.skipif(not HAS_PYIQA, reason="pyiqa is not installed here")
def test_create_metric_finds_it(folder: str, images: torch.Tensor) -> None:
    import pyiqa

    register(folder)
    metric = pyiqa.create_metric(NAME, device="cpu")
    assert not metric.lower_better
    assert NAME in pyiqa.list_models("NR")
    expected = [row.value for row in RaliScorer.load(folder).score(images)]
    np.testing.assert_allclose(metric(images).squeeze(1).numpy(), np.array(expected), rtol=1e-5)
