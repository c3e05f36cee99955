"""The distortion ladder: 14 kinds, 5 levels each, on uint8 RGB pictures.

Strengths are given for a picture of 56 pixels. Those that extend in space grow with the square root of
the picture's shorter side, half way between a fixed number of pixels (a viewer who moves close)
and a fixed share of the picture (a viewer who sees it whole).
"""

import io
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

Pixels = NDArray[np.uint8]  # [H, W, 3]
Distortion = Callable[[Pixels, float, np.random.Generator], Pixels]

PRISTINE = "pristine"
LEVELS = (1, 2, 3, 4, 5)
_BASE_SIDE = 56


def distort(pixels: Pixels, kind: str, level: int, rng: np.random.Generator) -> Pixels:
    """``pixels`` after distortion ``kind`` at ``level`` 1-5; level 0, or kind "pristine", returns them unchanged.

    With the same state of ``rng`` a higher level is the same noise, or the same direction, only stronger.
    """
    if level == 0 or kind == PRISTINE:
        return pixels
    function, strengths = LADDER[kind]
    return function(pixels, strengths[level - 1], rng)


def gaussian_blur(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:  # noqa: ARG001 - one signature
    """Out of focus; ``sigma`` in pixels."""
    sigma *= _reach(pixels)
    return _quantised(gaussian_filter(pixels.astype(np.float32), (sigma, sigma, 0), mode="reflect"))


def motion_blur(pixels: Pixels, length: float, rng: np.random.Generator) -> Pixels:
    """Camera shake along a line of ``length`` pixels in a random direction."""
    length *= _reach(pixels)
    angle, radius = rng.uniform(0, np.pi), int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    for place in np.linspace(-length / 2, length / 2, int(8 * length)):
        row, column = radius + place * np.sin(angle), radius + place * np.cos(angle)
        top, left = int(row), int(column)
        down, right = row - top, column - left
        kernel[top : top + 2, left : left + 2] += np.outer((1 - down, down), (1 - right, right))
    padded = np.pad(pixels.astype(np.float64), ((radius, radius), (radius, radius), (0, 0)), mode="symmetric")
    return _quantised(fftconvolve(padded, (kernel / kernel.sum())[..., None], mode="valid", axes=(0, 1)))


def white_noise(pixels: Pixels, std: float, rng: np.random.Generator) -> Pixels:
    """Sensor noise, independent in every pixel and channel."""
    return _quantised(pixels + std * rng.standard_normal(pixels.shape, dtype=np.float32))


def impulse_noise(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Salt and pepper on a ``share`` of the pixels."""
    chance, salt = rng.random(pixels.shape[:2]), rng.random(pixels.shape[:2]) < 0.5
    return np.where((chance < share)[..., None], np.where(salt, 255, 0).astype(np.uint8)[..., None], pixels)


def compressed(
    pixels: Pixels,
    quality: float,
    rng: np.random.Generator,  # noqa: ARG001 - one signature
    *,
    image_format: str,
) -> Pixels:
    """JPEG or WebP compression; JPEG keeps chroma at half resolution."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format, quality=int(quality))
    return np.asarray(Image.open(buffer, formats=[image_format]).convert("RGB"))


def resampled(
    pixels: Pixels,
    factor: float,
    rng: np.random.Generator,  # noqa: ARG001 - one signature
    *,
    down: Image.Resampling,
    up: Image.Resampling,
) -> Pixels:
    """Low resolution: reduced by ``factor`` and enlarged again, each by its own filter."""
    height, width = pixels.shape[:2]
    factor *= _reach(pixels)
    small = Image.fromarray(pixels).resize((max(1, round(width / factor)), max(1, round(height / factor))), down)
    return np.asarray(small.resize((width, height), up))


def contrast(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:  # noqa: ARG001 - one signature
    """All values drawn towards the picture's mean."""
    mean = pixels.mean()
    return _quantised(mean + factor * (pixels.astype(np.float32) - mean))


def exposure(pixels: Pixels, stops: float, rng: np.random.Generator) -> Pixels:  # noqa: ARG001 - one signature
    """Light multiplied by 2^stops and clipped, in the linear light of gamma 2.2."""
    return _quantised(pixels.astype(np.float32) * 2 ** (stops / 2.2))


def colour_shift(pixels: Pixels, distance: float, rng: np.random.Generator) -> Pixels:
    """A colour cast: both chroma channels (8 bits) moved by ``distance`` in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    chroma = np.asarray(Image.fromarray(pixels).convert("YCbCr"), dtype=np.float32)
    shifted = _quantised(chroma + distance * np.array([0, np.cos(angle), np.sin(angle)], dtype=np.float32))
    return np.asarray(Image.fromarray(shifted, "YCbCr").convert("RGB"))


def desaturation(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:  # noqa: ARG001 - one signature
    """Colours drawn towards grey of the same luma."""
    grey = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)[..., None]
    return _quantised(grey + factor * (pixels - grey))


def banding(pixels: Pixels, num_values: float, rng: np.random.Generator) -> Pixels:  # noqa: ARG001 - one signature
    """Each channel rounded to ``num_values`` values."""
    step = 255 / (num_values - 1)
    return _quantised(np.rint(pixels / step) * step)


LADDER: dict[str, tuple[Distortion, tuple[float, float, float, float, float]]] = {
    "gaussian_blur": (gaussian_blur, (0.9, 1.4, 2.0, 3.0, 4.5)),
    "motion_blur": (motion_blur, (3.0, 5.0, 8.0, 12.0, 18.0)),
    "white_noise": (white_noise, (10.0, 20.0, 32.0, 48.0, 70.0)),
    "impulse_noise": (impulse_noise, (0.01, 0.03, 0.07, 0.14, 0.25)),
    "jpeg": (partial(compressed, image_format="JPEG"), (40.0, 22.0, 12.0, 6.0, 2.0)),
    "webp": (partial(compressed, image_format="WEBP"), (45.0, 25.0, 12.0, 5.0, 0.0)),
    "nearest": (partial(resampled, down=Image.Resampling.BOX, up=Image.Resampling.NEAREST), (2.0, 3.0, 4.0, 5.5, 8.0)),
    "bicubic": (
        partial(resampled, down=Image.Resampling.BICUBIC, up=Image.Resampling.BICUBIC),
        (2.0, 3.0, 4.0, 5.5, 8.0),
    ),
    "contrast": (contrast, (0.7, 0.5, 0.35, 0.22, 0.12)),
    "overexposure": (exposure, (0.5, 0.9, 1.4, 2.0, 2.8)),
    "underexposure": (exposure, (-0.7, -1.4, -2.2, -3.2, -4.5)),
    "colour_shift": (colour_shift, (12.0, 22.0, 34.0, 48.0, 64.0)),
    "desaturation": (desaturation, (0.7, 0.5, 0.3, 0.15, 0.0)),
    "banding": (banding, (12.0, 8.0, 5.0, 3.0, 2.0)),
}

SMALL_PICTURE_KINDS = ("gaussian_blur", "white_noise", "nearest", "contrast")
"""What a tiny policy can see in pictures of 56 pixels. Left out there: compression, whose 8-pixel blocks
do not line up with patches of 14; the other blurs and exposures, which look too much like these; colour,
because training pictures change their colours at random."""
_SMALL_SIDE = 128


def visible_kinds(size: int) -> tuple[str, ...]:
    """The kinds that pictures of ``size`` pixels a side can show."""
    return SMALL_PICTURE_KINDS if size < _SMALL_SIDE else tuple(LADDER)


def kinds_sentence(kinds: Sequence[str]) -> str:
    """Which distortions a dataset shows and which it leaves out, for people."""
    left_out = [kind for kind in LADDER if kind not in kinds]
    return f"distorted by {', '.join(kinds)}; left out: {', '.join(left_out) or 'nothing'}"


def _reach(pixels: Pixels) -> float:
    return float(np.sqrt(min(pixels.shape[:2]) / _BASE_SIDE))


def _quantised(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
