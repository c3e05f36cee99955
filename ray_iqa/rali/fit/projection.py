"""Stage 2a: PCA of image features.

Features are not normalised before, components are not scaled after. The released scorer divides centred features by
``scale`` as well, which a plain PCA does not have; it is kept, as ones, so that released weights fit the format.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd

from ray_iqa.errors import ConfigError
from ray_iqa.rali.model.head import Projection


def fit_pca(features: NDArray[np.float32], num_components: int) -> Projection:
    """The ``num_components`` directions of largest variance, each with its largest entry positive.

    Args:
        features: [M, D].
        num_components: C.

    Raises:
        ConfigError: more components than images or features.
    """
    most = min(features.shape)
    if num_components > most:
        raise ConfigError(
            f"projection.num_components must be at most {most}, for there are {len(features)} images "
            f"with {features.shape[1]} features each; got {num_components}"
        )
    mean = features.mean(axis=0, dtype=np.float64)
    _, _, directions = svd(features - mean, full_matrices=False)
    components = directions[:num_components]
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1, keepdims=True), axis=1)
    return Projection(
        mean=mean.astype(np.float32),
        scale=np.ones(features.shape[1], dtype=np.float32),
        components=(components * np.sign(largest)).astype(np.float32),
    )


def no_projection(width: int) -> Projection:
    """Features as they are, not even centred: the ablation without PCA."""
    return Projection(
        mean=np.zeros(width, dtype=np.float32),
        scale=np.ones(width, dtype=np.float32),
        components=np.eye(width, dtype=np.float32),
    )
