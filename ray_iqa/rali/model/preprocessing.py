"""The one owner of CLIP image preprocessing: any kind of picture -> the tensor that the image tower takes.

Pictures are cut by `ImageCrop`. Float tensors take torch's antialiased resize instead, which has gradients and agrees
to about one 8-bit level. Nothing here changes quality beyond the resize: augmentation is a flip and the place of the
crop, no jitter, no blur.
"""

from collections.abc import Sequence
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from ray_iqa.data.images import check_shape
from ray_iqa.data.pictures import Picture
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.rali.model.crops import ImageCrop

ImageSource: TypeAlias = Picture | Tensor
"""A picture, or a float tensor [3, H, W] in [0, 1]."""


class Preprocessing(ImageCrop):
    """How a tower wants its pictures; part of the artifact."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

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
        """The views of a picture as the tower takes them: float32 ``shape``, normalised.

        Raises:
            DataError: the picture is broken, or an array or tensor has another type, shape or range.
        """
        return self.batch([self.centre(source)])[0]

    def centre(self, source: ImageSource) -> Tensor:
        """The first half of `pixels`: uint8 ``shape``, of a float tensor float32 in [0, 1]; raises as that."""
        if isinstance(source, Tensor):
            return self.resized(_checked(source)[None])[0]
        return torch.from_numpy(self.square(source))

    def centre_or_reason(self, source: ImageSource) -> Tensor | str:
        """As `centre`, or the sentence that says why there is none."""
        try:
            return self.centre(source)
        except DataError as error:
            return str(error)

    def batch(self, centres: Sequence[Tensor]) -> Tensor:
        """The other half, of n pictures on one device: float32 [n, *shape], normalised."""
        in_unit_range = [each.float().div(255) if each.dtype == torch.uint8 else each for each in centres]
        return self.normalised(torch.stack(in_unit_range))

    def augmented(self, source: ImageSource, rng: np.random.Generator) -> Tensor:
        """As `pixels`, from a random place along the longer side, mirrored half of the time."""
        if isinstance(source, Tensor):
            raise DataError("a float tensor cannot be augmented; give the picture itself")
        return self.batch([torch.from_numpy(self.random_square(source, rng))])[0]

    def resized(self, images: Tensor) -> Tensor:
        """Resize and cut with gradients: [n, 3, H, W] in [0, 1] -> [n, *shape] in [0, 1]."""
        height, width = images.shape[-2:]
        places = [(round(left), round(top)) for left, top in self.places(height, width)]
        crops = [images[..., y : y + self.size, x : x + self.size] for x, y in places]
        new_height, new_width = self._target(height, width)
        if (new_height, new_width) != (height, width):
            images = torch.nn.functional.interpolate(
                images, (new_height, new_width), mode=self.interpolation, antialias=True, align_corners=False
            ).clamp(0, 1)  # the filters overshoot at edges; 8-bit resampling clips as well
        top, left = round((new_height - self.size) / 2), round((new_width - self.size) / 2)
        whole = images[..., top : top + self.size, left : left + self.size]
        return torch.cat([whole, *crops, *[whole] * (self.crops - len(crops))], dim=1)

    def normalised(self, images: Tensor) -> Tensor:
        """[n, 3 V, S, S] of V views in [0, 1] -> the tower's own range."""
        views = images.shape[1] // 3
        mean, std = (images.new_tensor(values).repeat(views).view(-1, 1, 1) for values in (self.mean, self.std))
        return (images - mean) / std

    def squares(self) -> ImageCrop:
        """The part of it that needs no torch, for processes that only decode."""
        return ImageCrop(size=self.size, resize=self.resize, interpolation=self.interpolation, crops=self.crops)


def _checked(image: Tensor) -> Tensor:
    if not image.is_floating_point() or image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
        raise DataError(f"an image tensor must be float [3, H, W], got {image.dtype} {list(image.shape)}")
    check_shape((image.shape[2], image.shape[1]), "image tensor")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0.0 and high <= 1.0):
        raise DataError(f"an image tensor must lie in [0, 1], got values from {low:g} to {high:g}; divide or clamp it")
    return image.float()
