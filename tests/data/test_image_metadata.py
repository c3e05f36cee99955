"""Files of sound pixels with metadata that parsers of EXIF data trip over."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from ray_iqa.data.images import load_image


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def damaged_metadata() -> Iterator[tuple[str, bytes]]:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    plain = encoded(picture, "PNG")
    garbage = bytes(range(7, 90))
    doubled = b"Exif\0\0Exif\0\0" + Image.Exif().tobytes()[6:]
    for name, exif in (("doubled header", doubled), ("garbage", garbage), ("cut", b"Exif\0\0II*\0\x08\0\0\0\xff\xff")):
        yield f"PNG, {name}", plain[:33] + png_chunk(b"eXIf", exif) + plain[33:]
        yield f"WebP, {name}", encoded(picture, "WEBP", lossless=True, exif=exif)
    # One directory with orientation 1 and an XResolution that is text, little-endian, offset 8.
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 1, 0) + struct.pack("<HHI4s", 0x011A, 2, 4, b"72\0\0")
    text_resolution = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 0)
    yield "PNG, XResolution as text", plain[:33] + png_chunk(b"eXIf", text_resolution[6:]) + plain[33:]


def test_damaged_metadata_does_not_decide_over_sound_pixels() -> None:
    expected = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for name, content in damaged_metadata():
        assert np.array_equal(np.asarray(load_image(content)), expected), name


def test_an_orientation_counts_beside_a_resolution_that_is_text() -> None:
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHI4s", 0x011A, 2, 4, b"72\0\0")
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 0)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    plain = encoded(picture, "PNG")
    decoded = load_image(plain[:33] + png_chunk(b"eXIf", exif[6:]) + plain[33:])
    assert np.array_equal(np.asarray(decoded), np.rot90(np.asarray(picture), -1))
