"""Awkward image files against pixels known by construction."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ray_iqa.data.checks.files import inspect_images
from ray_iqa.data.images import load_image, picture_or_reason, picture_size
from ray_iqa.data.rows import ManifestRow
from ray_iqa.errors import DataError


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header_only(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b""))
        + png_chunk(b"IEND", b"")
    )


def test_plain_rgb_keeps_every_pixel_from_path_and_from_bytes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    for source in (path, str(path), path.read_bytes()):
        image = load_image(source)
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("image_format", ["BMP", "TIFF", "GIF", "PNG"])
def test_lossless_formats_of_a_flat_colour(image_format: str) -> None:
    decoded = load_image(encoded(Image.new("RGB", (4, 3), (10, 20, 30)), image_format))
    assert np.array_equal(np.asarray(decoded), np.full((3, 4, 3), (10, 20, 30)))


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP"])
def test_lossy_formats_of_a_flat_colour(image_format: str) -> None:
    decoded = np.asarray(load_image(encoded(Image.new("RGB", (16, 16), (10, 20, 30)), image_format))).astype(int)
    assert np.abs(decoded - (10, 20, 30)).max() <= 4


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(image_format: str) -> None:
    picture = Image.new("RGB", (32, 16), "black")
    picture.paste((255, 255, 255), (0, 0, 8, 8))  # top left
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: top left goes to top right
    decoded = load_image(encoded(picture, image_format, exif=exif))
    assert decoded.size == (16, 32)
    grey = np.asarray(decoded.convert("L"))
    assert grey[2, 13] > 230
    assert grey[2, 2] < 25
    assert grey[29, 13] < 25


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_hidden_pixels_turn_white_and_half_transparent_ones_mix(mode: str) -> None:
    rgba = np.zeros((1, 3, 4), dtype=np.uint8)  # black everywhere, hidden, half visible, visible
    rgba[0, :, 3] = (0, 128, 255)
    picture = Image.fromarray(rgba)
    content = encoded(picture.quantize(4) if mode == "PA" else picture.convert(mode), "PNG")
    assert np.asarray(load_image(content))[0, :, 0].tolist() == pytest.approx([255, 127, 0], abs=1)


def test_transparent_colour_of_an_rgb_png_turns_white() -> None:
    pixels = np.array([[[1, 2, 3], [200, 100, 50]]], dtype=np.uint8)
    content = encoded(Image.fromarray(pixels), "PNG", transparency=(1, 2, 3))
    assert np.asarray(load_image(content))[0].tolist() == [[255, 255, 255], [200, 100, 50]]


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(image_format: str) -> None:
    samples = np.array([[0, 256, 32768, 65535]], dtype=np.uint16)
    decoded = np.asarray(load_image(encoded(Image.fromarray(samples), image_format)))
    assert decoded[0, :, 0].tolist() == [0, 1, 128, 255]
    assert np.array_equal(decoded[..., 0], decoded[..., 2])


def test_sixteen_bit_tiff_that_counts_from_white() -> None:
    samples = np.array([[0, 65535]], dtype=np.uint16)
    content = encoded(Image.fromarray(samples), "TIFF", tiffinfo={262: 0})
    assert np.asarray(load_image(content))[0, :, 0].tolist() == [255, 0]


def test_twelve_bit_tiff_reaches_white() -> None:
    tags = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 3)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    content = b"II*\0" + struct.pack("<I", 12) + b"\xff\xf8\x00\0" + directory + bytes(4)  # samples 4095 and 2048
    assert np.asarray(load_image(content))[0, :, 0].tolist() == [255, 128]


def test_sixteen_bit_rgb_png_is_scaled() -> None:
    row = np.array([65535, 32768, 0], dtype=">u2").tobytes()
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)
    assert np.asarray(load_image(content))[0, 0].tolist() == [255, 128, 0]


@pytest.mark.parametrize("mode", ["F", "I"])
def test_thirty_two_bit_samples_are_refused(mode: str) -> None:
    with pytest.raises(DataError, match="32-bit"):
        load_image(encoded(Image.new(mode, (2, 2)), "TIFF"))


def test_cmyk_without_and_with_unreadable_profile() -> None:
    cyan = Image.new("CMYK", (2, 2), (255, 0, 0, 0))
    for options in ({}, {"icc_profile": b"nonsense"}):
        content = encoded(cyan, "TIFF", **options)
        assert np.asarray(load_image(content))[0, 0].tolist() == [0, 255, 255]


def grey_cmyk_profile() -> bytes:
    """A minimal ICC printer profile whose coloured inks are invisible: L* falls from 100 to 0 with black alone."""
    grid = bytes([255, 128, 128, 0, 128, 128]) * 2**3  # Lab with 8 bits; black varies fastest
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + grid + ramp * 3
    tags = struct.pack(">I", 1) + b"A2B0" + struct.pack(">II", 144, len(lut))
    white = struct.pack(">3i", 63190, 65536, 54061)
    header = struct.pack(">I4sI4s4s4s", 144 + len(lut), bytes(4), 0x02100000, b"prtr", b"CMYK", b"Lab ")
    header += bytes(12) + b"acsp" + bytes(28) + white + bytes(48)
    return header + tags + lut


def test_cmyk_goes_through_its_profile() -> None:
    content = encoded(Image.new("CMYK", (2, 2), (255, 0, 0, 128)), "TIFF", icc_profile=grey_cmyk_profile())
    assert np.asarray(load_image(content))[0, 0].tolist() == pytest.approx([119, 119, 119], abs=2)  # sRGB of L* = 50


@pytest.mark.parametrize("mode", ["1", "L", "P", "YCbCr"])
def test_other_modes_become_rgb(mode: str) -> None:
    picture = Image.new("RGB", (4, 4), "white").convert(mode)
    decoded = load_image(encoded(picture, "TIFF" if mode == "YCbCr" else "PNG"))
    assert decoded.mode == "RGB"
    assert np.asarray(decoded).min() >= 254


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "TIFF", "WEBP"])
def test_first_frame_of_an_animation(image_format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], image_format, save_all=True, append_images=frames[1:])
    red, _, blue = np.asarray(load_image(content))[4, 4].astype(int)
    assert (red > 240, blue < 15) == (True, True)


def test_pixel_cap_is_read_from_the_header() -> None:
    content = png_header_only(40_000, 2_000)  # holds no pixel data: only a header check can say this
    with pytest.raises(DataError, match=r"at most 50000000 pixels, got 40000 x 2000 = 80000000"):
        load_image(content)
    with pytest.raises(DataError, match="at most 11 pixels"):
        load_image(encoded(Image.new("RGB", (4, 3)), "PNG"), max_pixels=11)


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")  # pytest resets the module's own filter
@pytest.mark.parametrize("side", [10_000, 60_000])  # Pillow warns about the first and refuses the second
def test_bombs_are_errors_even_with_a_larger_cap(side: int) -> None:
    with pytest.raises(DataError):
        load_image(png_header_only(side, side), max_pixels=99_999_999)


@pytest.mark.parametrize("size", [(1_000_000, 1), (1, 1_000_000), (301, 3)])
def test_thin_pictures_are_refused_by_their_header(size: tuple[int, int], tmp_path: Path) -> None:
    content, path = png_header_only(*size), tmp_path / "thin.png"
    path.write_bytes(content)
    for read in (lambda: load_image(content), lambda: load_image(path), lambda: picture_size(path)):
        with pytest.raises(DataError, match=f"at most 100 times the other, got {size[0]} x {size[1]}"):
            read()
    assert picture_or_reason(path).startswith(f"{path}: one side may be at most 100 times")


def test_the_largest_aspect_is_a_parameter() -> None:
    content = encoded(Image.new("RGB", (300, 3)), "PNG")
    assert load_image(content).size == (300, 3)
    with pytest.raises(DataError, match=r"at most 99\.5 times"):
        load_image(content, max_aspect_ratio=99.5)
    assert load_image(encoded(Image.new("RGB", (500, 1)), "PNG"), max_aspect_ratio=500).size == (500, 1)


def test_a_header_tells_the_size_of_a_file_that_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "half.png"
    path.write_bytes(png_header_only(70, 50))
    assert picture_size(path) == (70, 50)
    with pytest.raises(DataError, match=r"half\.png"):
        load_image(path)


def test_too_little_memory_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(Image.new("RGB", (4, 4)), "PNG")

    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", exhausted)
    with pytest.raises(DataError, match="takes more memory than there is"):
        load_image(content)


def test_other_formats_are_refused() -> None:
    with pytest.raises(DataError, match="must be one of JPEG, PNG"):
        load_image(encoded(Image.new("RGB", (2, 2)), "ICO"))


@pytest.mark.parametrize("image_format", ["AVIF", "JPEG2000", "PPM", "HEIF"])
def test_formats_of_cameras_and_phones(image_format: str) -> None:
    decoded = np.asarray(load_image(encoded(Image.new("RGB", (32, 24), (200, 30, 60)), image_format)), dtype=int)
    assert decoded.shape == (24, 32, 3)
    assert np.abs(decoded - (200, 30, 60)).max() <= 6


def test_a_variable_allows_more_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    Image.new("L", (8000, 6400)).save(path)
    with pytest.raises(DataError, match=r"at most 50000000 pixels, got 8000 x 6400 .* cluster.max_picture_pixels"):
        load_image(path)
    monkeypatch.setenv("RAY_IQA_MAX_PIXELS", "61000000")
    assert load_image(path).size == (8000, 6400)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\xff\xd8\xff\xe0", b"hello, world", b"\x89PNG\r\n\x1a\n"])
def test_garbage_is_one_sentence(content: bytes) -> None:
    with pytest.raises(DataError, match=f"image of {len(content)} bytes"):
        load_image(content)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "HEIF"])
def test_truncated_files_name_the_file(image_format: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), image_format)
    path = tmp_path / "half.bin"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"half\.bin"):
        load_image(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png: no such image file"):
        load_image(tmp_path / "gone.png")
    with pytest.raises(DataError, match="cannot decode"):
        load_image(tmp_path)


@pytest.mark.timeout(20)
def test_a_pipe_or_a_device_is_refused_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(DataError, match="not a file"):
            load_image(path)
    row = ManifestRow(dataset="d", image_id="a", path=str(tmp_path / "pipe.png"), mos=1.0, direction="higher")
    [fact] = inspect_images([row])
    assert fact.content is None
