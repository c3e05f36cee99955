"""Stage 3 learns, stops, and touches nothing else."""

import torch

from ray_iqa.config.rali import FineTuningConfig
from ray_iqa.rali.fit.fine_tuning import fine_tune
from ray_iqa.rali.model.head import RaliHead

CONFIG = FineTuningConfig(epochs=60, patience=5, batch_size=32)


def data(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    features = torch.randn(count, 30, generator=torch.Generator().manual_seed(seed))
    return features, 3 + torch.tanh(features[:, 0] + features[:, 1])


def error(head: RaliHead, images: tuple[torch.Tensor, torch.Tensor]) -> float:
    with torch.no_grad():
        return float(((head(images[0]) - images[1]) ** 2).mean())


def test_held_out_error_falls_and_is_that_of_the_returned_head(random_head: RaliHead) -> None:
    train, held_out = data(400, 0), data(100, 1)
    start = error(random_head, held_out)
    tuned, errors = fine_tune(random_head, train, held_out, CONFIG, seed=0)
    assert errors[0] == start
    assert min(errors) < 0.7 * start
    assert abs(error(tuned, held_out) - min(errors)) < 1e-6


def test_only_vectors_and_scores_change_and_the_start_is_kept(random_head: RaliHead) -> None:
    before = {name: tensor.clone() for name, tensor in random_head.state_dict().items()}
    tuned, _ = fine_tune(random_head, data(100, 0), data(50, 1), CONFIG, seed=0)
    assert all(torch.equal(before[name], tensor) for name, tensor in random_head.state_dict().items())
    changed = {name for name, tensor in tuned.state_dict().items() if not torch.equal(before[name], tensor)}
    assert changed == {"vectors", "scores"}


def test_stops_after_patience_and_returns_the_start_when_nothing_improves(random_head: RaliHead) -> None:
    features, _ = data(100, 0)
    with torch.no_grad():
        perfect = features, random_head(features)
    wrong = features, 10 - perfect[1]
    tuned, errors = fine_tune(random_head, wrong, perfect, CONFIG, seed=0)
    assert len(errors) == 1 + CONFIG.patience
    assert error(tuned, perfect) == 0.0


def test_the_same_seed_gives_the_same_head(random_head: RaliHead) -> None:
    first, second = (fine_tune(random_head, data(100, 0), data(50, 1), CONFIG, seed=3)[0] for _ in range(2))
    assert torch.equal(first.vectors, second.vectors)
