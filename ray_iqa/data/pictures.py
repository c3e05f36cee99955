"""Pictures as people have them in Python: files, their content, Pillow images, arrays, tensors."""

import io
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ray_iqa.data.images import check_shape, load_image, picture_bytes, upright
from ray_iqa.errors import DataError

Picture: TypeAlias = str | Path | bytes | Image.Image | NDArray[np.uint8] | Any  # Any: a torch tensor
"""Path, file content, Pillow image, uint8 array [H, W, 3] or [H, W], float tensor [3, H, W] in [0, 1]."""
_MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16")


def decoded_or_reason(source: Picture) -> Image.Image | str:
    """As `decoded`, or the sentence that says why there is none."""
    try:
        return decoded(source)
    except DataError as error:
        return str(error)


def encoded(source: Picture) -> bytes:
    """The content of a file as it is, anything else as PNG; raises as `decoded`."""
    if isinstance(source, bytes):
        return source
    if isinstance(source, str | Path):
        return picture_bytes(source)
    buffer = io.BytesIO()
    decoded(source).save(buffer, "PNG")
    return buffer.getvalue()


def decoded(source: Picture) -> Image.Image:
    """8-bit RGB by the project's one decode function, or the equivalent for pictures already in memory.

    Raises:
        DataError: the picture is broken, or an array or tensor has another type, shape or range.
    """
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
    if hasattr(source, "detach"):  # a tensor, of a package that this module does not import
        return _of_tensor(source.detach().cpu().numpy())
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


def _of_tensor(values: NDArray[Any]) -> Image.Image:
    is_sound = values.dtype.kind == "f" and values.ndim == 3 and len(values) == 3
    if not is_sound or not (values.min(initial=0) >= 0 and values.max(initial=0) <= 1):
        raise DataError(
            f"an image tensor must be float of shape [3, H, W] in [0, 1], got {values.dtype} {list(values.shape)}"
        )
    check_shape((values.shape[2], values.shape[1]), "image tensor")
    return Image.fromarray(np.rint(values.transpose(1, 2, 0) * 255).astype(np.uint8))
