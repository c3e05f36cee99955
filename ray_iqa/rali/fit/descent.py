"""What every fit here does between one loss and the next: a step of AdamW along a schedule."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Descent:
    """AdamW whose learning rates follow a schedule.

    Args:
        parameters: all that are trained, in the order in which the norm of their gradients is summed.
        factor: steps taken -> share of the learning rates.
        max_grad_norm: gradients of a larger norm are scaled down to it; None leaves them as they are.
        groups: the parameters in torch's groups, where they have settings of their own.
        settings: of ``torch.optim.AdamW``.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        factor: Callable[[int], float] = lambda _: 1.0,
        *,
        max_grad_norm: float | None = None,
        groups: Sequence[dict[str, Any]] | None = None,  # Any: torch's groups
        **settings: Any,  # noqa: ANN401 - torch's
    ) -> None:
        self._parameters, self._max_grad_norm = parameters, max_grad_norm
        self.optimizer = torch.optim.AdamW(parameters if groups is None else groups, **settings)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factor)

    def step(self, loss: Tensor) -> None:
        """Descend along the gradient of ``loss``."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self._max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._max_grad_norm)
        self.optimizer.step()
        self.schedule.step()
