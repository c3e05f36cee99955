"""The one decode function: every part of the project sees the same pixels of a file."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ray_iqa.data.remote import is_url, read_bytes
from ray_iqa.errors import DataError
from ray_iqa.path_text import text_path

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""What is decoded; everything else Pillow knows (EPS runs Ghostscript, FITS had bombs) is refused."""
MAX_PIXELS = 50_000_000

_TIFF_BITS_PER_SAMPLE, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0

# Process-wide and once: warnings.catch_warnings is not safe in the threads of a server.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def load_image(source: str | Path | bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a file, or a file's bytes, to 8-bit RGB as a viewer would show it.

    EXIF orientation is applied; transparency is composited on white; 16-bit grey is scaled down, not
    clipped; CMYK goes through its ICC profile where it has a readable one, else through Pillow's plain
    formula; of an animation the first frame is taken. ICC profiles of RGB images are not applied:
    public IQA data sets and models read the stored values.

    Args:
        source: path, as it is or as `path_text`, URL of a file in an object store, or the content of an image file.
        max_pixels: width times height allowed, checked in the header before anything is decoded.

    Raises:
        DataError: missing file, format not in ``FORMATS``, too many pixels, broken or truncated data,
            32-bit samples, which have no agreed white level.
    """
    name = f"image of {len(source)} bytes" if isinstance(source, bytes) else str(source)
    if isinstance(source, str) and is_url(source):
        source = read_bytes(source)
    file = io.BytesIO(source) if isinstance(source, bytes) else text_path(source)
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check_num_pixels(image, max_pixels, name)
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image), _white_level(image), _white_is_zero(image))
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{name}: no such image file") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: not a readable image; it must be one of {', '.join(FORMATS)}") from error
    except Exception as error:  # a decoder raises whatever its parser trips over
        raise DataError(f"{name}: cannot decode the image: {error}") from error


def _check_num_pixels(image: Image.Image, max_pixels: int, name: str) -> None:
    if image.width * image.height > max_pixels:
        raise DataError(
            f"{name}: an image may have at most {max_pixels} pixels, "
            f"got {image.width} x {image.height} = {image.width * image.height}"
        )


def _to_rgb(image: Image.Image, white_level: int, white_is_zero: bool) -> Image.Image:
    if image.mode.startswith("I;16"):
        samples = np.asarray(image).astype(np.float32) * (255.0 / white_level)
        grey = np.clip(np.rint(255.0 - samples if white_is_zero else samples), 0, 255)
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("32-bit samples have no agreed white level; convert the file to 8 or 16 bits")
    if image.mode == "CMYK" and "icc_profile" in image.info:
        return _cmyk_to_rgb(image)
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
    return image.convert("RGB")


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # an unreadable profile counts as none
        return image.convert("RGB")
    assert converted is not None, "profileToProfile returns None only when working in place"
    return converted


def _white_level(image: Image.Image) -> int:
    """Largest sample of a 16-bit image; TIFF stores 12-bit samples unscaled in the same mode."""
    bits = getattr(image, "tag_v2", {}).get(_TIFF_BITS_PER_SAMPLE, (16,))
    return int(2 ** bits[0] - 1)


def _white_is_zero(image: Image.Image) -> bool:
    """True for a TIFF that counts from white; Pillow undoes that for 8-bit samples only."""
    return getattr(image, "tag_v2", {}).get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
