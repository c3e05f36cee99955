"""Small pristine pictures cut out of a content: sharp, textured, and all exposed alike.

Equal exposure makes a change of contrast or brightness visible as such, for nothing else varies them.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import laplace

from ray_iqa.errors import ConfigError
from ray_iqa.quickstart.pictures import Content

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
LUMA_MEAN = (115.0, 135.0)
LUMA_STD = (50.0, 60.0)
MIN_LAPLACIAN_STD = 25.0  # at 56 pixels; larger pictures show the same scene with smoother pixels
MAX_GAIN = 3.0  # more would lift a flat region's own noise into view
_FAILURES_IN_A_ROW = 100


def draw_crops(content: Content, count: int, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Up to ``count`` different crops, uint8 [n, size, size, 3]; fewer, even 0, where texture is rare.

    Raises:
        ConfigError: the content is smaller than ``size``.
    """
    shortest = min(min(view.shape[:2]) for view in content.views)
    if size > shortest:
        raise ConfigError(f"size must be at most {shortest} pixels, the height of {content.name!r}, got {size}")
    views = [_tinted(view, rng) for view in content.views]
    crops: list[NDArray[np.uint8]] = []
    num_failures = 0
    while len(crops) < count and num_failures < _FAILURES_IN_A_ROW:
        window = _window(views[int(rng.integers(len(views)))], size, rng)
        crop = _exposed(window, rng.uniform(*LUMA_MEAN), rng.uniform(*LUMA_STD))
        num_failures = 0 if crop is not None else num_failures + 1
        if crop is not None:
            crops.append(crop)
    return np.stack(crops) if crops else np.empty((0, size, size, 3), dtype=np.uint8)


def augmented(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """One of the 8 turns and flips with one of the 6 orders of the colour channels; for training only."""
    turned = np.rot90(crop, int(rng.integers(4)))
    flipped = turned[:, ::-1] if rng.random() < 0.5 else turned
    return np.ascontiguousarray(flipped[..., rng.permutation(3)])


def _window(view: Image.Image, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A random square of ``view``, reduced to ``size`` x ``size``."""
    largest = max(size, min(view.size) / 2)
    side = rng.uniform(size, largest)
    left, top = rng.uniform(0, view.width - side), rng.uniform(0, view.height - side)
    window = view.resize(
        (size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side), reducing_gap=2
    )
    return np.asarray(window, dtype=np.float32)


def _exposed(window: NDArray[np.float32], mean: float, std: float) -> NDArray[np.uint8] | None:
    """Scaled to the wanted luma mean and standard deviation; None where that fails or texture lacks."""
    pixels = window
    for _ in range(2):  # clipping disturbs both moments a little
        luma = pixels @ LUMA
        if luma.std() * MAX_GAIN < std:
            return None
        pixels = np.clip((pixels - luma.mean()) * (std / luma.std()) + mean, 0, 255)
    crop = np.rint(pixels).astype(np.uint8)
    luma = crop @ LUMA
    textured = laplace(luma).std() >= MIN_LAPLACIAN_STD * min(1.0, (56 / len(crop)) ** 0.5)
    exposed = LUMA_MEAN[0] <= luma.mean() <= LUMA_MEAN[1] and LUMA_STD[0] <= luma.std() <= LUMA_STD[1]
    return crop if exposed and textured else None


def _tinted(view: NDArray[np.uint8], rng: np.random.Generator) -> Image.Image:
    """Grey photographs get a colour cast, so that distortions of colour can show on them too."""
    if np.ptp(view, axis=2).max() > 0:
        return Image.fromarray(view)
    tint = rng.uniform(0.7, 1.0, 3)
    return Image.fromarray(np.rint(view * tint).astype(np.uint8))
