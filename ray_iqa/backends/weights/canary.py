"""What a weight update is tried on: learner and sampler must say the same about it."""

import numpy as np
import torch
from PIL import Image

FIRST_ANSWER = "<think></think><answer>3.00</answer>"
"""Until the learner has seen one that the policy gave."""
MAX_TOKENS = 64
_SIDE = 112  # pixels; few tokens, so that it fits whatever a run leaves room for


def canary_picture() -> Image.Image:
    """Noise, the same everywhere and always; a picture of the user's could be gone or too long."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8))


def canary_bound(dtype: str, max_mean: float | None) -> float:
    """Largest allowed mean of |log-probability of the sampler - of the learner| over the answer's tokens.

    Without ``max_mean`` the square root of the distance between 1 and the next number of ``dtype``: .088 for bfloat16,
    .00035 for float32. Engines that round alike differ by a fraction of it; wrong weights by more than 1.
    """
    return max_mean if max_mean is not None else float(torch.finfo(getattr(torch, dtype)).eps) ** 0.5
