"""The optimizer of warm-up and cold start: AdamW, clipped gradients, short warm-up, linear decay."""

from collections.abc import Iterable

import torch
from torch import nn

_WARM_UP_STEPS = 50
_FINAL_FRACTION = 0.02
_MAX_GRAD_NORM = 1.0


class LessonOptimizer:
    """Takes ``num_steps`` steps; ``learning_rate`` is the peak."""

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float, num_steps: int) -> None:
        self._parameters = list(parameters)
        # A short memory of squared gradients: a thousand steps are too few for the usual 0.999.
        self._optimizer = torch.optim.AdamW(self._parameters, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.01)

        def factor(step: int) -> float:
            return min((step + 1) / _WARM_UP_STEPS, 1.0) * (1.0 - (1.0 - _FINAL_FRACTION) * step / num_steps)

        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, factor)

    def step(self, loss: torch.Tensor) -> None:
        """Descend along the gradient of ``loss``."""
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters, _MAX_GRAD_NORM)
        self._optimizer.step()
        self._schedule.step()
