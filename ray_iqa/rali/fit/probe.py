"""How much of the target a straight line can read from features: what stage 1 is judged by."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ray_iqa.statistics.correlation import srcc

_PENALTIES = np.logspace(-2, 4, 13)


def linear_probe_srcc(
    train: tuple[NDArray[np.float32], NDArray[np.float64]], held_out: tuple[NDArray[np.float32], NDArray[np.float64]]
) -> float:
    """SRCC on held-out images of a ridge regression fitted to the training images.

    Args:
        train: features [M, D] and targets [M].
        held_out: features and targets of other images.
    """
    probe = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))
    probe.fit(*train)
    return srcc(probe.predict(held_out[0]), held_out[1])
