"""What a weight update is tried on: learner and sampler must say the same about it."""

import numpy as np
from PIL import Image

CANARY_ANSWER = "<think></think><answer>3.00</answer>"
_SIDE = 112  # pixels; few tokens, so that it fits whatever a run leaves room for


def canary_picture() -> Image.Image:
    """Noise, the same everywhere and always; a picture of the user's could be gone or too long."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8))
