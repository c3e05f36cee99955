"""Crops: exposure and texture within their bounds, measured anew."""

import numpy as np
import pytest
from PIL import Image

from ray_iqa.errors import ConfigError
from ray_iqa.quickstart.crops import augmented, draw_crops
from ray_iqa.quickstart.pictures import Content, load_photographs
from ray_iqa.quickstart.textures import make_textures


def luma_of(crop: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(crop).convert("L"), dtype=float)


@pytest.mark.parametrize("content", [*load_photographs("val"), *make_textures("val", 5, 168, 0)], ids=lambda c: c.name)
def test_crops_are_exposed_alike_and_textured(content: Content) -> None:
    crops = draw_crops(content, 12, 56, np.random.default_rng(0))
    assert crops.shape == (12, 56, 56, 3)
    assert len({crop.tobytes() for crop in crops}) == 12
    for crop in crops:
        luma = luma_of(crop)
        assert 114.5 <= luma.mean() <= 135.5
        assert 49.5 <= luma.std() <= 60.5
        inner = luma[1:-1, 1:-1]
        laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * inner
        assert laplacian.std() >= 23  # the border, left out here, counts in the code's measure


def test_every_photograph_yields_crops_at_the_sizes_in_use() -> None:
    for split in ("train", "val", "test"):
        for content in load_photographs(split):
            assert len(draw_crops(content, 40, 56, np.random.default_rng(0))) == 40
            assert len(draw_crops(content, 2, 224, np.random.default_rng(0))) == 2


def test_grey_photographs_are_tinted() -> None:
    (brick,) = [content for content in load_photographs("test") if content.name == "brick"]
    assert np.ptp(brick.views[0], axis=2).max() == 0
    assert np.ptp(draw_crops(brick, 1, 56, np.random.default_rng(0))[0], axis=2).mean() > 5


def test_flat_contents_yield_nothing_and_small_ones_are_refused() -> None:
    flat = Content(name="flat", split="train", licence="-", views=(np.full((80, 80, 3), 128, dtype=np.uint8),))
    assert draw_crops(flat, 5, 56, np.random.default_rng(0)).shape == (0, 56, 56, 3)
    with pytest.raises(ConfigError, match="size must be at most 80 pixels, the height of 'flat', got 81"):
        draw_crops(flat, 5, 81, np.random.default_rng(0))


def test_augmentation_moves_pixels_and_channels_but_changes_no_value() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    rng = np.random.default_rng(1)
    variants = [augmented(crop, rng) for _ in range(600)]
    assert len({variant.tobytes() for variant in variants}) == 48  # 8 turns and flips, 6 channel orders
    assert all(np.array_equal(np.sort(variant.ravel()), np.sort(crop.ravel())) for variant in variants)
