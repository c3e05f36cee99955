"""Stage 3: basis vectors and their scores learn by squared error; tower, projection and temperature stay.

The paper gives neither rates nor epochs; early stopping on a held-out slice of the training images is ours.
"""

import copy

import torch
from torch import Tensor, nn

from ray_iqa.config.rali import FineTuningConfig
from ray_iqa.rali.fit.descent import Descent
from ray_iqa.rali.model.head import RaliHead


def fine_tune(
    head: RaliHead,
    train: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    config: FineTuningConfig,
    seed: int,
) -> tuple[RaliHead, list[float]]:
    """A copy of ``head`` with the lowest error on the held-out slice, and that slice's error by epoch.

    Args:
        head: the start; not changed. It is returned as it is when no epoch improves on it.
        train: features [M, D] and target scores [M].
        held_out: features and targets of images that are not in ``train``.
        config: rates and epochs.
        seed: of the batches.

    Returns:
        The head, and mean squared errors; the first is that of the start.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        projected, held_projected = head.project(train[0]), head.project(held_out[0])
    tuned = copy.deepcopy(head)
    groups = [
        {"params": [tuned.vectors], "lr": config.vector_learning_rate},
        {"params": [tuned.scores], "lr": config.score_learning_rate},
    ]
    descent = Descent([tuned.vectors, tuned.scores], groups=groups, weight_decay=0.0)
    errors = [_error(tuned, held_projected, held_out[1])]
    best = copy.deepcopy(tuned)
    for _ in range(config.epochs):
        order = torch.randperm(len(projected), generator=generator).to(projected.device)
        for rows in torch.split(order, config.batch_size):
            descent.step(nn.functional.mse_loss(tuned.read(projected[rows]), train[1][rows]))
        errors.append(_error(tuned, held_projected, held_out[1]))
        best_epoch = errors.index(min(errors))
        if best_epoch == len(errors) - 1:
            best = copy.deepcopy(tuned)
        elif len(errors) - 1 - best_epoch >= config.patience:
            break
    return best, errors


def _error(head: RaliHead, projected: Tensor, targets: Tensor) -> float:
    with torch.no_grad():
        return float(nn.functional.mse_loss(head.read(projected), targets))
