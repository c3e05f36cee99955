"""Procedural pictures: as many contents as wanted beside the few photographs, each from a seed."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from ray_iqa.quickstart.pictures import SPLITS, Content, Split

Field = NDArray[np.float64]  # [side, side]


def make_textures(split: Split, count: int, side: int, seed: int) -> list[Content]:
    """``count`` contents of ``side`` x ``side`` pixels; splits and seeds have no texture in common."""
    makers = (_fractal, _shapes, _stripes, _blobs, _cells)
    contents = []
    for index in range(count):
        maker = makers[index % len(makers)]
        pixels = maker(side, np.random.default_rng([seed, SPLITS.index(split), index]))
        name = f"{maker.__name__[1:]}-{split}-{seed}-{index:03d}"
        contents.append(Content(name=name, split=split, licence="CC0-1.0 (procedural)", views=(pixels,)))
    return contents


def _fractal(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Rock and bark: noise of spectrum 1/f^s, folded into ridges or pressed against two levels."""
    field = _noise(side, rng.uniform(1.1, 1.4), rng)
    return _coloured(np.abs(field) ** 0.5 if rng.random() < 0.5 else np.tanh(3 * field), rng)


def _shapes(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Overlapping flat polygons and ellipses with sharp edges."""
    canvas = Image.new("RGB", (2 * side, 2 * side), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(canvas)
    for _ in range(120):
        centre, radius = rng.uniform(0, 2 * side, 2), side * rng.uniform(0.04, 0.3)
        colour = tuple(rng.integers(0, 256, 3).tolist())
        if rng.random() < 0.4:
            draw.ellipse([*(centre - radius), *(centre + radius * rng.uniform(0.1, 1, 2))], fill=colour)
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
            corners = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            draw.polygon([tuple(corner) for corner in corners.tolist()], fill=colour)
    return np.asarray(canvas.resize((side, side), Image.Resampling.BOX))  # anti-aliased


def _stripes(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Stripes or checks, bent by smooth noise, with sharp or soft profile."""
    warp = side * 0.03 * _noise(side, 2.5, rng)
    rows, columns = np.mgrid[:side, :side]
    angle = rng.uniform(0, np.pi)
    along = np.cos(angle) * columns + np.sin(angle) * rows + warp
    across = np.cos(angle) * rows - np.sin(angle) * columns + warp
    period = side * rng.uniform(0.03, 0.12)
    waves = np.sin(2 * np.pi * along / period)
    if rng.random() < 0.5:
        waves = waves * np.sin(2 * np.pi * across / (period * rng.uniform(0.6, 1.6)))
    sharpness = rng.uniform(2, 8)
    return _coloured(np.tanh(sharpness * waves) + 0.3 * _noise(side, 1.5, rng), rng)


def _blobs(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Patches of flat tone cut out of smooth noise, lightly grained."""
    smooth = gaussian_filter(rng.standard_normal((side, side)), side * rng.uniform(0.012, 0.03), mode="wrap")
    smooth /= smooth.std()
    steps = np.tanh(8 * (smooth + 0.7)) + np.tanh(8 * (smooth - 0.7))
    return _coloured(steps + 0.25 * _noise(side, 1.4, rng), rng)


def _cells(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Tiles around random seeds, each with its own tone and a gradient, parted by dark seams."""
    number = int(rng.integers(60, 200))
    seeds = rng.uniform(0, side, (number, 2))
    grid = np.moveaxis(np.indices((side, side), dtype=np.float64), 0, -1)  # [side, side, 2]
    distance, neighbours = map(np.asarray, cKDTree(seeds).query(grid, k=2))  # [side, side, 2]
    owner = neighbours[..., 0]
    slope = rng.normal(0, 3 / side, (number, 2))
    shading = ((grid - seeds[owner]) * slope[owner]).sum(axis=-1)
    seam = np.clip((distance[..., 1] - distance[..., 0]) / 3, 0, 1)
    return _coloured((rng.normal(0, 1, number)[owner] + 3 * shading) * seam - 2 * (1 - seam), rng)


def _noise(side: int, slope: float, rng: np.random.Generator) -> Field:
    """Gaussian noise of amplitude spectrum 1/f^slope, mean 0, standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) * frequency**-slope
    field = np.fft.irfft2(spectrum, s=(side, side))
    return (field - field.mean()) / field.std()


def _coloured(field: Field, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Map a field to a dark-to-light ramp of two random hues."""
    low, high = np.percentile(field, (1, 99))
    tone = np.clip((field - low) / (high - low), 0, 1)[..., None]
    dark, light = rng.uniform(0, 110, 3), rng.uniform(145, 255, 3)
    return np.rint(dark + (light - dark) * tone).astype(np.uint8)
