"""Procedural contents: distinct, seeded, every maker used."""

import numpy as np

from ray_iqa.quickstart.textures import make_textures


def test_same_seed_same_texture_and_splits_share_none() -> None:
    train = make_textures("train", 10, 96, seed=3)
    assert all(
        np.array_equal(a.views[0], b.views[0]) for a, b in zip(train, make_textures("train", 10, 96, 3), strict=True)
    )
    others = [*make_textures("test", 10, 96, seed=3), *make_textures("train", 10, 96, seed=4)]
    everything = [content.views[0].tobytes() for content in [*train, *others]]
    assert len(set(everything)) == 30
    assert len({content.name for content in [*train, *others]}) == 30


def test_five_makers_fill_the_picture_with_colour() -> None:
    textures = make_textures("val", 5, 96, seed=0)
    assert len({content.name.split("-")[0] for content in textures}) == 5
    for content in textures:
        (pixels,) = content.views
        assert pixels.shape == (96, 96, 3)
        assert pixels.dtype == np.uint8
        assert pixels.std() > 15
        assert np.ptp(pixels, axis=2).max() > 0
