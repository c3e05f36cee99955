import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ray_iqa.rali.scorer import RaliScorer
from ray_iqa.rali.torchmetrics_plugin import LightQuality


@pytest.fixture
def folder(random_scorer: RaliScorer, tmp_path: Path) -> str:
    random_scorer.save(tmp_path / "scorer")
    return str(tmp_path / "scorer")


def tensor(pictures: list[NDArray[np.uint8]]) -> torch.Tensor:
    return torch.stack([torch.from_numpy(picture).permute(2, 0, 1) / 255 for picture in pictures])


@pytest.fixture
def batches() -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    return [tensor(list(rng.integers(0, 256, (n, 60, 70, 3), dtype=np.uint8))) for n in (3, 5)]


def test_it_is_the_mean_over_all_batches(folder: str, batches: list[torch.Tensor]) -> None:
    metric = LightQuality(folder)
    for batch in batches:
        metric.update(batch)
    values = [row.value for row in RaliScorer.load(folder).score(torch.cat(batches))]
    assert metric.compute().item() == pytest.approx(np.mean([value for value in values if value is not None]))
    assert metric.num_scored == 8
    metric.reset()
    assert metric.num_scored == 0


def test_a_call_gives_the_batch_and_keeps_the_whole(folder: str, batches: list[torch.Tensor]) -> None:
    metric, alone = LightQuality(folder), LightQuality(folder)
    metric(batches[0])
    alone.update(batches[1])
    assert metric(batches[1]) == alone.compute()
    assert metric.num_scored == 8


def test_a_picture_out_of_range_is_counted_and_never_a_number(folder: str, batches: list[torch.Tensor]) -> None:
    metric, sound = LightQuality(folder), LightQuality(folder)
    broken = torch.cat([batches[0], torch.full((1, 3, 60, 70), 7.0)])
    metric.update(broken)
    sound.update(batches[0])
    assert metric.compute() == sound.compute()
    assert metric.num_failed == 1


def test_it_can_be_copied_as_frameworks_do(folder: str, batches: list[torch.Tensor]) -> None:
    metric = LightQuality(folder)
    twin = copy.deepcopy(metric)
    for each in (metric, twin):
        each.update(batches[0])
    assert metric.compute() == twin.compute()
