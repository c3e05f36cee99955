"""The one decode function: every part of the project sees the same pixels of a file."""

import contextlib
import io
import os
import stat
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from ray_iqa.data.remote import is_url, read_bytes
from ray_iqa.errors import DataError
from ray_iqa.path_text import text_path

with contextlib.suppress(ImportError):  # the extra `heif`
    import pillow_heif

    pillow_heif.register_heif_opener()
Image.init()
_WANTED = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM", "HEIF")
FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)
"""What is decoded; everything else Pillow knows (EPS runs Ghostscript, FITS had bombs) is refused."""
MAX_PIXELS_VARIABLE = "RAY_IQA_MAX_PIXELS"
"""Environment variable: width times height that is decoded where nothing else is said, 50 million without it."""
_MAX_PIXELS = 50_000_000
MAX_ASPECT_RATIO = 100.0
"""Long side by short side: models enlarge the short side, so that a thin line would become a giant."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TIFF_BITS_PER_SAMPLE, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0

# Process-wide and once: warnings.catch_warnings is not safe in the threads of a server.
warnings.simplefilter("error", Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)  # counts as none


def load_image(
    source: str | Path | bytes, max_pixels: int | None = None, max_aspect_ratio: float = MAX_ASPECT_RATIO
) -> Image.Image:
    """Decode a file, or a file's bytes, to 8-bit RGB as a viewer would show it.

    EXIF orientation is applied where it can be read, whatever else is wrong with the metadata;
    transparency is composited on white; 16-bit grey is scaled down, not clipped; CMYK goes through its
    ICC profile where it has a readable one, else through Pillow's plain formula; of an animation the
    first frame is taken. ICC profiles of RGB images are not applied: public IQA data sets and models
    read the stored values.

    Args:
        source: path, as it is or as `path_text`, URL of a file in an object store, or the content of an image file.
        max_pixels: width times height allowed, checked in the header before anything is decoded; None for what
            ``MAX_PIXELS_VARIABLE`` says.
        max_aspect_ratio: long side by short side allowed, checked there too.

    Raises:
        DataError: missing file, format not in ``FORMATS``, too many pixels, too thin, broken or truncated
            data, more memory than there is, 32-bit samples, which have no agreed white level.
    """
    name = f"image of {len(source)} bytes" if isinstance(source, bytes) else str(source)
    if isinstance(source, str) and is_url(source):
        source = read_bytes(source)
    with _opened(source, name, max_pixels, max_aspect_ratio) as image:
        image.load()
        return _to_rgb(upright(image), getattr(image, "tag_v2", {}))


def picture_bytes(path: str | Path) -> bytes:
    """The content of a file, or of what a URL of an object store names.

    Raises:
        DataError: there is none, or it cannot be read; begins with the path.
    """
    if is_url(str(path)):
        return read_bytes(str(path))
    try:
        return plain_file(text_path(path)).read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such image file") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error


def picture_or_reason(path: str | Path) -> Image.Image | str:
    """A picture as `load_image` decodes it, or the sentence that says why there is none."""
    try:
        return load_image(path)
    except DataError as error:
        return str(error)


def picture_size(path: str | Path) -> tuple[int, int]:
    """Width and height of a local picture from its header, as stored; raises as `load_image` where that can tell."""
    with _opened(path, str(path), None, MAX_ASPECT_RATIO) as image:
        return image.size


def check_shape(size: tuple[int, int], name: str, max_aspect_ratio: float = MAX_ASPECT_RATIO) -> None:
    """Refuse thin lines.

    Args:
        size: width and height.
        name: of the picture, as the error says it.
        max_aspect_ratio: long side by short side allowed.

    Raises:
        DataError: one side is too long for the other, or there are no pixels.
    """
    if not 0 < max(size) <= max_aspect_ratio * min(size):
        raise DataError(
            f"{name}: one side may be at most {max_aspect_ratio:g} times the other, got {size[0]} x {size[1]}"
        )


def plain_file(path: str | Path) -> Path:
    """``path``, whose content can be read to an end: no folder, and no pipe or device, which nobody may ever close.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is something else.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise OSError("it is a folder, a pipe or a device, not a file")
    return Path(path)


@contextmanager
def _opened(
    source: str | Path | bytes, name: str, max_pixels: int | None, max_aspect_ratio: float
) -> Iterator[Image.Image]:
    """The picture with its header read and found within the limits; what goes wrong inside is a `DataError`."""
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else plain_file(text_path(source))
        with Image.open(file, formats=FORMATS) as image:
            _check_num_pixels(image, max_pixels, name)
            check_shape(image.size, name, max_aspect_ratio)
            yield image
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{name}: no such image file") from error
    except UnidentifiedImageError as error:
        needs = "" if "HEIF" in FORMATS else " (HEIF, as of .heic files, needs pip install 'ray-iqa[heif]')"
        raise DataError(f"{name}: not a readable image; it must be one of {', '.join(FORMATS)}{needs}") from error
    except MemoryError as error:
        raise DataError(f"{name}: cannot decode the image: it takes more memory than there is") from error
    except Exception as error:  # a decoder raises whatever its parser trips over
        raise DataError(f"{name}: cannot decode the image: {error}") from error


def _check_num_pixels(image: Image.Image, max_pixels: int | None, name: str) -> None:
    if max_pixels is None:
        max_pixels = int(os.environ.get(MAX_PIXELS_VARIABLE, _MAX_PIXELS))
    if image.width * image.height > max_pixels:
        raise DataError(
            f"{name}: an image may have at most {max_pixels} pixels, "
            f"got {image.width} x {image.height} = {image.width * image.height}; cluster.max_picture_pixels of a job, "
            f"decoding.max_pixels of the endpoint or the variable {MAX_PIXELS_VARIABLE} allow more"
        )


def upright(image: Image.Image) -> Image.Image:
    """Turned and mirrored as its EXIF data says; damaged data says nothing."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - a parser raises whatever it trips over, and the pixels are sound
        orientation = None
    method = _UPRIGHT.get(orientation or 1)
    return image if method is None else image.transpose(method)


def _to_rgb(image: Image.Image, tiff_tags: Mapping[int, Any]) -> Image.Image:  # Any: as Pillow types tags
    if image.mode.startswith("I;16"):
        # TIFF keeps 12-bit samples unscaled in this mode, and may count from white, which Pillow undoes for 8 bits.
        num_bits = tiff_tags.get(_TIFF_BITS_PER_SAMPLE, (16,))[0]
        samples = np.asarray(image).astype(np.float32) * (255.0 / (2**num_bits - 1))
        counts_from_white = tiff_tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
        grey = np.clip(np.rint(255.0 - samples if counts_from_white else samples), 0, 255)
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
