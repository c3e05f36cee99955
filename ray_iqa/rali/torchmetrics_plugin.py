"""The light scorer as a torchmetrics metric, to be logged from training loops; needs the package torchmetrics."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from ray_iqa.rali.scorer import RaliScorer


class LightQuality(Metric):  # type: ignore[misc]  # torchmetrics is not there for the type checker
    """Mean quality of all pictures seen, 1 (bad) to 5 (excellent), over all processes.

    A picture that cannot be scored is left out of the mean and counted in ``num_failed``.

    Args:
        model: folder of a light scorer.
        device: where it runs, as torch spells it; moving the metric does not move the scorer.
        options: of ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound, plot_upper_bound = 1.0, 5.0

    total: Tensor
    num_scored: Tensor
    num_failed: Tensor

    def __init__(self, model: str, device: str = "cpu", **options: Any) -> None:  # noqa: ANN401 - of another package
        super().__init__(**options)
        self._scorer = RaliScorer.load(model, device)
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("num_scored", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("num_failed", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, images: Tensor) -> None:
        """Add a batch.

        Args:
            images: [n, 3, H, W] float in [0, 1].
        """
        values = [row.value for row in self._scorer.score(images)]
        scores = [value for value in values if value is not None]
        self.total += sum(scores)
        self.num_scored += len(scores)
        self.num_failed += len(values) - len(scores)

    def compute(self) -> Tensor:
        """The mean; NaN where no picture was scored."""
        return self.total / self.num_scored
