"""A picture of any kind -> the squares of 8-bit pixels that a CLIP image tower looks at; needs no torch.

Geometry and resampling are those of open_clip's evaluation transform (Pillow's antialiased filters on 8-bit pixels).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import NonNegativeInt, PositiveInt

from ray_iqa.config.section import Section
from ray_iqa.data.pictures import Picture, decoded
from ray_iqa.errors import DataError

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_SPREAD = (
    0.7548776662466927,
    0.5698402909980532,
)  # steps of the R2 sequence, which fills a square evenly (Roberts 2018)
_NO_MEMORY = "a picture cannot be resized: it takes more memory than there is"


class ImageCrop(Section):
    """Which square, and how many pixels it has."""

    size: PositiveInt
    """Side of the square, pixels."""
    resize: Literal["shortest", "squash"]
    """shortest: the short side becomes ``size``, the centre is cut out. squash: both sides become ``size``."""
    interpolation: Literal["bicubic", "bilinear"]
    crops: NonNegativeInt = 0
    """Squares of the picture's own pixels beside that view: what resizing hides. Features are means over all views."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the views of one picture, three channels each."""
        return 3 * (1 + self.crops), self.size, self.size

    @property
    def limit(self) -> str:
        """What a scorer with these views cannot see, as a sentence."""
        fitted = "its middle" if self.resize == "shortest" else "the whole of it"
        crops = "" if self.crops == 0 else f", and {self.crops} squares of as many pixels of its own"
        hidden = "finer detail of a larger picture is not seen" if self.crops == 0 else "detail elsewhere is not seen"
        return f"each picture is seen as {fitted} at {self.size} x {self.size} pixels{crops}; {hidden}"

    @property
    def num_pixels(self) -> int:
        """That the tower looks at, of one picture."""
        return (1 + self.crops) * self.size**2

    def square(self, picture: Picture) -> NDArray[np.uint8]:
        """The views of a picture, ``shape``: its centre resized, then the crops.

        Raises:
            DataError: the picture is broken, or an array has another type or shape.
        """
        image = self._decoded(picture)
        resized = self._resized(image)
        views = [self._cut(resized, (resized.width - self.size) / 2, (resized.height - self.size) / 2)]
        views += [self._cut(image, left, top) for left, top in self.places(image.height, image.width)]
        return np.concatenate(views + views[:1] * (1 + self.crops - len(views)))

    def places(self, height: int, width: int) -> list[tuple[float, float]]:
        """Left and top of each crop, spread evenly over the picture; none in one that is smaller than a crop."""
        if min(height, width) < self.size:
            return []
        return [
            ((width - self.size) * ((0.5 + _SPREAD[0] * n) % 1), (height - self.size) * ((0.5 + _SPREAD[1] * n) % 1))
            for n in range(self.crops)
        ]

    def square_or_reason(self, picture: Picture) -> NDArray[np.uint8] | str:
        """As `square`, or the sentence that says why there is none."""
        try:
            return self.square(picture)
        except DataError as error:
            return str(error)

    def random_square(self, picture: Picture, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The resized view alone [3, size, size], from a random place along it, mirrored half of the time."""
        image = self._resized(self._decoded(picture))
        if rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        left, top = (rng.integers(0, side - self.size + 1) for side in image.size)
        return self._cut(image, float(left), float(top))

    def _decoded(self, picture: Picture) -> Image.Image:
        try:
            return decoded(picture)
        except MemoryError as error:
            raise DataError(_NO_MEMORY) from error

    def _resized(self, image: Image.Image) -> Image.Image:
        try:
            height, width = self._target(image.height, image.width)
            return image.resize((width, height), _FILTERS[self.interpolation])
        except MemoryError as error:
            raise DataError(_NO_MEMORY) from error

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
