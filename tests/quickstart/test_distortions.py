"""The ladder, measured: every level is further from the pristine picture than the one before."""

import numpy as np
import pytest

from ray_iqa.quickstart.crops import draw_crops
from ray_iqa.quickstart.distortions import LADDER, LEVELS, distort, visible_kinds
from ray_iqa.quickstart.pictures import load_photographs
from ray_iqa.quickstart.textures import make_textures


def pristine_pictures(size: int, per_content: int) -> np.ndarray:
    contents = [*load_photographs("val"), *load_photographs("test"), *make_textures("val", 5, 3 * size, 0)]
    return np.concatenate([draw_crops(content, per_content, size, np.random.default_rng(1)) for content in contents])


def psnr(distorted: np.ndarray, pristine: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((distorted.astype(float) - pristine) ** 2))


@pytest.fixture(scope="module")
def small_pictures() -> np.ndarray:
    return pristine_pictures(56, 4)


@pytest.fixture(scope="module")
def large_pictures() -> np.ndarray:
    return pristine_pictures(168, 1)


@pytest.mark.parametrize("kind", LADDER)
@pytest.mark.parametrize("pictures", ["small_pictures", "large_pictures"])
def test_psnr_falls_with_every_level(kind: str, pictures: str, request: pytest.FixtureRequest) -> None:
    table = np.array(
        [
            [psnr(distort(pixels, kind, level, np.random.default_rng(i)), pixels) for level in LEVELS]
            for i, pixels in enumerate(request.getfixturevalue(pictures))
        ]
    )
    assert (np.diff(table.mean(axis=0)) < -0.8).all()
    # on stripes a longer smear may by chance fall back into phase; nothing else is excused
    assert (np.diff(table, axis=1) < 0).all(axis=1).mean() >= (0.9 if kind == "motion_blur" else 1.0)


@pytest.mark.parametrize("kind", LADDER)
def test_a_distortion_keeps_its_input_and_repeats_itself(kind: str, small_pictures: np.ndarray) -> None:
    pixels = small_pictures[0].copy()
    first = distort(pixels, kind, 3, np.random.default_rng(5))
    assert np.array_equal(pixels, small_pictures[0])
    assert (first.dtype, first.shape) == (np.uint8, pixels.shape)
    assert np.array_equal(first, distort(pixels, kind, 3, np.random.default_rng(5)))
    assert np.array_equal(pixels, distort(pixels, kind, 0, np.random.default_rng(5)))


def test_strengths_are_what_they_say() -> None:
    grey = np.full((200, 200, 3), 128, dtype=np.uint8)
    noisy = distort(grey, "white_noise", 2, np.random.default_rng(0)).astype(float)
    assert noisy.std() == pytest.approx(20, rel=0.02)
    spotted = distort(grey, "impulse_noise", 5, np.random.default_rng(0))
    assert (spotted != 128).all(axis=2).mean() == pytest.approx(0.25, abs=0.01)
    assert set(np.unique(spotted)) == {0, 128, 255}
    assert len(np.unique(distort(np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3), "banding", 5, None))) == 2
    colours = np.random.default_rng(0).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    assert np.ptp(distort(colours, "desaturation", 5, np.random.default_rng(0)), axis=2).max() == 0
    edge = np.zeros((56, 56, 3), dtype=np.uint8)
    edge[:, 28:] = 255
    slope = np.diff(distort(edge, "gaussian_blur", 3, np.random.default_rng(0))[28, :, 0].astype(float))
    assert np.sqrt(np.average((np.arange(55) - 27) ** 2, weights=slope)) == pytest.approx(2.0, rel=0.05)


def test_spatial_strengths_grow_with_the_square_root_of_the_size() -> None:
    widths = []
    for side in (56, 224):
        edge = np.zeros((side, side, 3), dtype=np.uint8)
        edge[:, side // 2 :] = 255
        slope = np.diff(distort(edge, "gaussian_blur", 3, np.random.default_rng(0))[side // 2, :, 0].astype(float))
        widths.append(np.sqrt(np.average((np.arange(side - 1) - side // 2 + 1) ** 2, weights=slope)))
    assert widths[1] / widths[0] == pytest.approx(2.0, rel=0.05)


def test_small_pictures_use_fewer_kinds() -> None:
    assert set(visible_kinds(56)) < set(visible_kinds(224)) == set(LADDER)
