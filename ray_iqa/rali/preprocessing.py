"""The one owner of CLIP image preprocessing: any kind of picture -> the tensor that the image tower takes.

Geometry and resampling are those of open_clip's evaluation transform (Pillow's antialiased filters on 8-bit pixels).
Float tensors take torch's antialiased resize instead, which has gradients and agrees to about one 8-bit level.
Nothing here changes quality beyond the resize: augmentation is a flip and the place of the crop, no jitter, no blur.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydantic import PositiveInt, ValidationError
from torch import Tensor

from ray_iqa.config.section import Section
from ray_iqa.data.images import load_image
from ray_iqa.errors import ConfigError, DataError

ImageSource: TypeAlias = str | Path | bytes | Image.Image | NDArray[np.uint8] | Tensor
"""Path, file content, Pillow image, uint8 array [H, W, 3] or [H, W], float tensor [3, H, W] in [0, 1]."""

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16")


class Preprocessing(Section):
    """How a tower wants its pictures; part of the artifact."""

    size: PositiveInt
    """Side of the square, pixels."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: Literal["shortest", "squash"]
    """shortest: the short side becomes ``size``, the centre is cut out. squash: both sides become ``size``."""
    interpolation: Literal["bicubic", "bilinear"]

    @classmethod
    def from_open_clip(cls, settings: dict[str, Any]) -> Self:  # Any: open_clip's own dictionary
        """Read open_clip's ``preprocess_cfg``.

        Raises:
            ConfigError: the tower wants something else than a square of three channels, resized as above.
        """
        size = settings["size"]
        sides = {size} if isinstance(size, int) else set(size)
        try:
            return cls(
                size=sides.pop() if len(sides) == 1 else 0,
                mean=settings["mean"],
                std=settings["std"],
                resize=settings["resize_mode"],
                interpolation=settings["interpolation"],
            )
        except ValidationError as error:
            raise ConfigError(f"the backbone needs preprocessing that is not supported: {settings}") from error

    def pixels(self, source: ImageSource) -> Tensor:
        """The centre of a picture as the tower takes it: float32 [3, size, size], normalised.

        Raises:
            DataError: the picture is broken, or an array or tensor has another type, shape or range.
        """
        return self.batch([self.centre(source)])[0]

    def centre(self, source: ImageSource) -> Tensor:
        """The first half of `pixels`: uint8 [3, size, size], of a float tensor float32 in [0, 1]; raises as that."""
        if isinstance(source, Tensor):
            return self.resized(_checked(source)[None])[0]
        image = self._resize(_decoded(source))
        return self._cut(image, (image.width - self.size) / 2, (image.height - self.size) / 2)

    def batch(self, centres: Sequence[Tensor]) -> Tensor:
        """The other half, of n pictures on one device: float32 [n, 3, size, size], normalised."""
        return self.normalised(torch.stack([_in_unit_range(centre) for centre in centres]))

    def augmented(self, source: ImageSource, rng: np.random.Generator) -> Tensor:
        """As `pixels`, from a random place along the longer side, mirrored half of the time."""
        image = self._resize(_decoded(source))
        if rng.random() < 0.5:
            image = ImageOps.mirror(image)
        left, top = (rng.integers(0, side - self.size + 1) for side in image.size)
        return self.batch([self._cut(image, float(left), float(top))])[0]

    def resized(self, images: Tensor) -> Tensor:
        """Resize and centre crop with gradients: [n, 3, H, W] in [0, 1] -> [n, 3, size, size] in [0, 1]."""
        height, width = images.shape[-2:]
        new_height, new_width = self._target(height, width)
        if (new_height, new_width) != (height, width):
            images = torch.nn.functional.interpolate(
                images, (new_height, new_width), mode=self.interpolation, antialias=True, align_corners=False
            ).clamp(0, 1)  # the filters overshoot at edges; 8-bit resampling clips as well
        top, left = round((new_height - self.size) / 2), round((new_width - self.size) / 2)
        return images[..., top : top + self.size, left : left + self.size]

    def normalised(self, images: Tensor) -> Tensor:
        """[n, 3, S, S] in [0, 1] -> the tower's own range."""
        mean, std = (images.new_tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return (images - mean) / std

    def _resize(self, image: Image.Image) -> Image.Image:
        height, width = self._target(image.height, image.width)
        return image.resize((width, height), _FILTERS[self.interpolation])

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if self.resize == "squash":
            return self.size, self.size
        short = min(height, width)
        return int(self.size * height / short), int(self.size * width / short)

    def _cut(self, image: Image.Image, left: float, top: float) -> Tensor:
        x, y = round(left), round(top)
        # np.array copies: torch warns about read-only memory.
        pixels = torch.from_numpy(np.array(image.crop((x, y, x + self.size, y + self.size))))
        return pixels.permute(2, 0, 1)


def _in_unit_range(centre: Tensor) -> Tensor:
    return centre.float().div(255) if centre.dtype == torch.uint8 else centre


def _decoded(source: ImageSource) -> Image.Image:
    """8-bit RGB by the project's one decode function, or the equivalent for pictures already in memory."""
    if isinstance(source, str | Path | bytes):
        return load_image(source)
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim not in (2, 3) or source.shape[2:] not in ((), (3,)):
            raise DataError(
                f"an image array must be uint8 of shape [H, W, 3] or [H, W], got {source.dtype} {list(source.shape)}"
            )
        return Image.fromarray(source).convert("RGB")
    if isinstance(source, Image.Image):
        return _rgb(source)
    raise DataError(f"an image must be a path, bytes, Pillow image, uint8 array or tensor, got {type(source).__name__}")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode not in _MODES:
        raise DataError(f"a Pillow image must have one of the modes {', '.join(_MODES)}, got {image.mode}")
    try:
        image = ImageOps.exif_transpose(image)  # reads the file of an image opened lazily
    except Exception as error:  # a decoder raises whatever its parser trips over
        raise DataError(f"cannot decode the Pillow image: {error}") from error
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    buffer = io.BytesIO()
    image.save(buffer, "TIFF" if image.mode == "CMYK" else "PNG")
    return load_image(buffer.getvalue())


def _checked(image: Tensor) -> Tensor:
    if not image.is_floating_point() or image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
        raise DataError(f"an image tensor must be float [3, H, W], got {image.dtype} {list(image.shape)}")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0.0 and high <= 1.0):
        raise DataError(f"an image tensor must lie in [0, 1], got values from {low:g} to {high:g}; divide or clamp it")
    return image.float()
