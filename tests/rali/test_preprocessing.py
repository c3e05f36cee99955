"""The image tensor against open_clip's own evaluation transform."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from ray_iqa.errors import ConfigError, DataError
from ray_iqa.rali.model.preprocessing import Preprocessing

SETTINGS = {"size": 56, "mean": (0.48, 0.46, 0.41), "std": (0.27, 0.26, 0.28), "interpolation": "bicubic"}


@pytest.mark.parametrize("resize_mode", ["shortest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_pixels_equal_those_of_open_clip(
    pictures: list[NDArray[np.uint8]], resize_mode: str, interpolation: str
) -> None:
    settings = {**SETTINGS, "resize_mode": resize_mode, "interpolation": interpolation}
    theirs = image_transform_v2(PreprocessCfg(**settings), is_train=False)
    ours = Preprocessing.from_open_clip(settings)
    for picture in pictures:
        torch.testing.assert_close(ours.pixels(picture), theirs(Image.fromarray(picture)), rtol=0, atol=1e-6)


def test_every_kind_of_source_gives_the_same_pixels(tmp_path: Path) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path)
    preprocessing = Preprocessing.from_open_clip({**SETTINGS, "resize_mode": "shortest"})
    expected = preprocessing.pixels(picture)
    transparent = Image.fromarray(np.dstack([picture, np.full((70, 90), 255, np.uint8)]))
    for source in (str(path), path, path.read_bytes(), Image.open(path), Image.fromarray(picture), transparent):
        assert torch.equal(preprocessing.pixels(source), expected)


def test_a_batch_has_exactly_the_pixels_of_its_pictures(pictures: list[NDArray[np.uint8]]) -> None:
    preprocessing = Preprocessing.from_open_clip({**SETTINGS, "resize_mode": "shortest"})
    sources = [*pictures, torch.rand(3, 70, 60, generator=torch.Generator().manual_seed(0))]
    batch = preprocessing.batch([preprocessing.centre(source) for source in sources])
    for pixels, source in zip(batch, sources, strict=True):
        assert torch.equal(pixels, preprocessing.pixels(source))


def test_float_tensor_agrees_with_the_8_bit_path_to_about_a_level() -> None:
    waves = np.sin(np.arange(120)[:, None, None] / 9 + np.arange(90)[None, :, None] / 7 + np.arange(3))
    picture = np.rint(127 + 120 * waves).astype(np.uint8)
    preprocessing = Preprocessing.from_open_clip({**SETTINGS, "resize_mode": "shortest"})
    tensor = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    gap = (preprocessing.pixels(tensor) - preprocessing.pixels(picture)).abs().max()
    assert gap < 1.5 / 255 / 0.26


def test_tensor_of_the_towers_size_is_only_normalised() -> None:
    tensor = torch.rand(3, 56, 56, generator=torch.Generator().manual_seed(0))
    preprocessing = Preprocessing.from_open_clip({**SETTINGS, "resize_mode": "shortest"})
    expected = (tensor - torch.tensor(SETTINGS["mean"]).view(3, 1, 1)) / torch.tensor(SETTINGS["std"]).view(3, 1, 1)
    torch.testing.assert_close(preprocessing.pixels(tensor), expected, rtol=0, atol=1e-6)


def test_augmentation_mirrors_and_moves_the_crop_but_invents_no_pixels() -> None:
    preprocessing = Preprocessing(size=56, mean=(0, 0, 0), std=(1, 1, 1), resize="shortest", interpolation="bicubic")
    picture = np.random.default_rng(2).integers(0, 256, (56, 80, 3), dtype=np.uint8)  # no resize needed
    stretch = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    windows = [part for x in range(25) for part in (stretch[:, :, x : x + 56], stretch[:, :, x : x + 56].flip(-1))]
    seen = set()
    for seed in range(40):
        drawn = preprocessing.augmented(picture, np.random.default_rng(seed))
        seen.add(next(place for place, window in enumerate(windows) if torch.equal(window, drawn)))
    assert len(seen) > 15
    assert {place % 2 for place in seen} == {0, 1}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((5, 5, 4), np.uint8), r"uint8 of shape \[H, W, 3\]"),
        (np.zeros((5, 5, 3), np.float32), "got float32"),
        (torch.full((3, 5, 5), 200.0), r"must lie in \[0, 1\]"),
        (torch.full((3, 5, 5), float("nan")), r"must lie in \[0, 1\]"),
        (torch.zeros(5, 5, 3), r"must be float \[3, H, W\]"),
        (Image.new("F", (5, 5)), "got F"),
        (b"no picture", "not a readable image"),
        (7, "got int"),
    ],
)
def test_unusable_source_is_a_data_error(source: object, message: str) -> None:
    preprocessing = Preprocessing.from_open_clip({**SETTINGS, "resize_mode": "shortest"})
    with pytest.raises(DataError, match=message):
        preprocessing.pixels(source)


def test_lazily_opened_broken_picture_is_a_data_error() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(buffer, "PNG")
    broken = Image.open(io.BytesIO(buffer.getvalue()[:2000]))
    preprocessing = Preprocessing.from_open_clip({**SETTINGS, "resize_mode": "shortest"})
    with pytest.raises(DataError, match="cannot decode"):
        preprocessing.pixels(broken)


def test_towers_that_are_not_square_or_want_padding_are_refused() -> None:
    with pytest.raises(ConfigError, match="not supported"):
        Preprocessing.from_open_clip({**SETTINGS, "resize_mode": "longest"})
    with pytest.raises(ConfigError, match="not supported"):
        Preprocessing.from_open_clip({**SETTINGS, "size": (56, 64), "resize_mode": "squash"})
