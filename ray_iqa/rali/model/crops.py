"""A picture of any kind -> the square of 8-bit pixels that a CLIP image tower looks at; needs no torch.

Geometry and resampling are those of open_clip's evaluation transform (Pillow's antialiased filters on 8-bit pixels).
"""

import io
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import PositiveInt

from ray_iqa.config.section import Section
from ray_iqa.data.images import check_shape, load_image, upright
from ray_iqa.errors import DataError

Picture: TypeAlias = str | Path | bytes | Image.Image | NDArray[np.uint8]
"""Path, file content, Pillow image, uint8 array [H, W, 3] or [H, W]."""

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16")


class SquareCut(Section):
    """Which square, and how many pixels it has."""

    size: PositiveInt
    """Side of the square, pixels."""
    resize: Literal["shortest", "squash"]
    """shortest: the short side becomes ``size``, the centre is cut out. squash: both sides become ``size``."""
    interpolation: Literal["bicubic", "bilinear"]

    def square(self, picture: Picture) -> NDArray[np.uint8]:
        """The centre of a picture [3, size, size].

        Raises:
            DataError: the picture is broken, or an array has another type or shape.
        """
        image = self._resized(picture)
        return self._cut(image, (image.width - self.size) / 2, (image.height - self.size) / 2)

    def square_or_reason(self, picture: Picture) -> NDArray[np.uint8] | str:
        """As `square`, or the sentence that says why there is none."""
        try:
            return self.square(picture)
        except DataError as error:
            return str(error)

    def random_square(self, picture: Picture, rng: np.random.Generator) -> NDArray[np.uint8]:
        """As `square`, from a random place along the longer side, mirrored half of the time."""
        image = self._resized(picture)
        if rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        left, top = (rng.integers(0, side - self.size + 1) for side in image.size)
        return self._cut(image, float(left), float(top))

    def _resized(self, picture: Picture) -> Image.Image:
        try:
            image = _decoded(picture)
            height, width = self._target(image.height, image.width)
            return image.resize((width, height), _FILTERS[self.interpolation])
        except MemoryError as error:
            raise DataError("a picture cannot be resized: it takes more memory than there is") from error

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if self.resize == "squash":
            return self.size, self.size
        short = min(height, width)
        return int(self.size * height / short), int(self.size * width / short)

    def _cut(self, image: Image.Image, left: float, top: float) -> NDArray[np.uint8]:
        x, y = round(left), round(top)
        # np.array copies: torch warns about read-only memory.
        pixels: NDArray[np.uint8] = np.array(image.crop((x, y, x + self.size, y + self.size)))
        return pixels.transpose(2, 0, 1)


def _decoded(source: Picture) -> Image.Image:
    """8-bit RGB by the project's one decode function, or the equivalent for pictures already in memory."""
    if isinstance(source, str | Path | bytes):
        return load_image(source)
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim not in (2, 3) or source.shape[2:] not in ((), (3,)):
            raise DataError(
                f"an image array must be uint8 of shape [H, W, 3] or [H, W], got {source.dtype} {list(source.shape)}"
            )
        check_shape((source.shape[1], source.shape[0]), "image array")
        return Image.fromarray(source).convert("RGB")
    if isinstance(source, Image.Image):
        return _rgb(source)
    raise DataError(f"an image must be a path, bytes, Pillow image, uint8 array or tensor, got {type(source).__name__}")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode not in _MODES:
        raise DataError(f"a Pillow image must have one of the modes {', '.join(_MODES)}, got {image.mode}")
    check_shape(image.size, "Pillow image")
    try:
        image.load()  # reads the file of an image opened lazily
        image = upright(image)
    except Exception as error:  # a decoder raises whatever its parser trips over
        raise DataError(f"cannot decode the Pillow image: {error}") from error
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    buffer = io.BytesIO()
    image.save(buffer, "TIFF" if image.mode == "CMYK" else "PNG")
    return load_image(buffer.getvalue())
