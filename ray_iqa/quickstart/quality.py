"""What a distorted picture is worth, by definition, and how simulated raters label it.

True quality is ``clip(5 - WEIGHT[kind] * SEVERITY[level], 1, 5)``. It is our own definition, falling with
the level and differing between kinds; it is no measurement of human perception.
"""

import numpy as np

from ray_iqa.quickstart.distortions import PRISTINE

SEVERITY = (0.0, 0.6, 1.3, 2.1, 2.9, 3.8)  # by level, 0 to 5
WEIGHT = {
    "gaussian_blur": 1.0,
    "motion_blur": 1.0,
    "white_noise": 0.95,
    "impulse_noise": 1.05,
    "jpeg": 0.95,
    "webp": 0.9,
    "nearest": 0.9,
    "bicubic": 0.9,
    "contrast": 0.8,
    "overexposure": 0.85,
    "underexposure": 0.85,
    "colour_shift": 0.7,
    "desaturation": 0.5,
    "banding": 0.75,
}
NUM_RATERS = 25
RATER_STD = 0.5


def true_quality(kind: str, level: int) -> float:
    """Quality on 1 (bad) to 5 (perfect)."""
    if level == 0 or kind == PRISTINE:
        return 5.0
    return float(np.clip(5.0 - WEIGHT[kind] * SEVERITY[level], 1.0, 5.0))


def rate(quality: float, rng: np.random.Generator) -> tuple[float, float]:
    """MOS and standard deviation of 25 raters, each off by N(0, 0.5) and kept on the scale 1 to 5."""
    ratings = np.clip(quality + RATER_STD * rng.standard_normal(NUM_RATERS), 1.0, 5.0)
    return float(ratings.mean()), float(ratings.std(ddof=1))
