"""The part of RALI behind the image tower: features -> projection -> cosines with the basis -> score.

Eq. 3 of the paper has no temperature; the released code divides the cosines by one, and so does this.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Takes features x [n, D] to ((x - mean) / |scale|) components^T, [n, C]."""

    mean: NDArray[np.float32]  # [D]
    scale: NDArray[np.float32]  # [D]
    components: NDArray[np.float32]  # [C, D]

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """[n, D] -> [n, C]."""
        return (features - self.mean) / np.abs(self.scale) @ self.components.T


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreBasis:
    """R vectors and the score each stands for."""

    vectors: NDArray[np.float32]  # [R, C]
    scores: NDArray[np.float32]  # [R]


class RaliHead(nn.Module):
    """D features of an image, not normalised -> its score.

    The score is a convex mix of the basis scores, so it lies between the lowest and the highest of them.
    """

    mean: Tensor  # [D]
    scale: Tensor  # [D]
    components: Tensor  # [C, D]
    temperature: Tensor  # []

    def __init__(self, width: int, num_components: int, num_vectors: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("components", torch.zeros(num_components, width))
        self.register_buffer("temperature", torch.ones(()))
        self.vectors = nn.Parameter(torch.zeros(num_vectors, num_components))
        self.scores = nn.Parameter(torch.zeros(num_vectors))

    @classmethod
    def from_parts(cls, projection: Projection, basis: ScoreBasis, temperature: float) -> Self:
        """A head with these numbers."""
        head = cls(len(projection.mean), len(projection.components), len(basis.scores))
        tensors = {
            "mean": projection.mean,
            "scale": projection.scale,
            "components": projection.components,
            "vectors": basis.vectors,
            "scores": basis.scores,
        }
        head.load_state_dict(
            {name: torch.tensor(array) for name, array in tensors.items()} | {"temperature": torch.tensor(temperature)}
        )
        return head

    def forward(self, features: Tensor) -> Tensor:
        """[n, D] -> scores [n]."""
        return self.read(self.project(features))

    def project(self, features: Tensor) -> Tensor:
        """[n, D] -> [n, C]."""
        return (features - self.mean) / self.scale.abs() @ self.components.T

    def read(self, projected: Tensor) -> Tensor:
        """[n, C] -> scores [n]."""
        return self._shares(projected) @ self.scores

    def spread(self, features: Tensor) -> Tensor:
        """[n, D] -> [n]: standard deviation of the basis scores in the mix that is the score; not calibrated."""
        shares = self._shares(self.project(features))
        gaps = self.scores - (shares @ self.scores)[:, None]
        return (shares * gaps.square()).sum(dim=-1).sqrt()

    def _shares(self, projected: Tensor) -> Tensor:
        unit = nn.functional.normalize
        cosines = unit(projected, dim=-1) @ unit(self.vectors, dim=-1).T
        return torch.softmax(cosines / self.temperature, dim=-1)  # [n, R]
