"""How warm-up and cold start descend: clipped gradients, short warm-up, linear decay."""

from collections.abc import Sequence

from torch import nn

from ray_iqa.rali.fit.descent import Descent

_WARM_UP_STEPS = 50
_FINAL_FRACTION = 0.02


def lesson_descent(parameters: Sequence[nn.Parameter], learning_rate: float, num_steps: int) -> Descent:
    """For ``num_steps`` steps; ``learning_rate`` is the peak."""

    def factor(step: int) -> float:
        return min((step + 1) / _WARM_UP_STEPS, 1.0) * (1.0 - (1.0 - _FINAL_FRACTION) * step / num_steps)

    # A short memory of squared gradients: a thousand steps are too few for the usual 0.999.
    return Descent(parameters, factor, max_grad_norm=1.0, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
