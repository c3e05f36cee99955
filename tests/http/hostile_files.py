"""Files that strangers send: name -> content. Generated, none larger than a few hundred kilobytes unless it must be."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

READABLE_KINDS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
HIDDEN_KINDS = ("QOI", "TGA", "PCX", "ICO", "SGI", "DIB", "DDS", "IM")


def _encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _noise(mode: str = "RGB", size: tuple[int, int] = (48, 36)) -> Image.Image:
    rng = np.random.default_rng(7)
    bands = {"RGB": 3, "RGBA": 4, "CMYK": 4, "LA": 2, "L": 1}[mode]
    pixels = rng.integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    return Image.fromarray(pixels[:, :, 0] if bands == 1 else pixels, mode)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(width: int, height: int, *extra: bytes, depth: int = 8, colour: int = 2, body: bytes = b"\0") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), *extra, _chunk(b"IDAT", zlib.compress(body)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def readable() -> Iterator[tuple[str, bytes]]:
    """Unusual, but pictures: they must be scored."""
    for kind in READABLE_KINDS:
        yield f"plain {kind}", _encode(_noise(), kind)
    yield "CMYK JPEG", _encode(_noise("CMYK"), "JPEG")
    yield "CMYK TIFF", _encode(_noise("CMYK"), "TIFF")
    yield "grey JPEG", _encode(_noise("L"), "JPEG")
    yield "progressive JPEG", _encode(_noise(), "JPEG", progressive=True)
    yield "alpha PNG", _encode(_noise("RGBA"), "PNG")
    yield "alpha WEBP", _encode(_noise("RGBA"), "WEBP")
    yield "grey with alpha", _encode(_noise("LA"), "PNG")
    yield "palette GIF", _encode(_noise().convert("P"), "GIF")
    yield "one bit", _encode(_noise("L").convert("1"), "PNG")
    yield "16 bit PNG", _encode(Image.fromarray(np.arange(2048, dtype=np.uint16).reshape(32, 64) * 31), "PNG")
    yield "16 bit TIFF", _encode(Image.fromarray(np.arange(2048, dtype=np.uint16).reshape(32, 64) * 31), "TIFF")
    frames = [_noise("L", (20, 20 + place)).resize((20, 20)) for place in range(30)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        yield f"animated {kind}", _encode(frames[0], kind, save_all=True, append_images=frames[1:])
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        yield f"EXIF orientation {orientation}", _encode(_noise(), "JPEG", exif=exif)
    exif = Image.Exif()
    exif[274] = 99
    yield "EXIF orientation 99", _encode(_noise(), "JPEG", exif=exif)
    yield "one pixel", _encode(_noise(size=(1, 1)), "PNG")
    yield "one row", _encode(_noise(size=(90, 1)), "PNG")
    yield "one column", _encode(_noise(size=(1, 90)), "PNG")
    yield "bytes after the end", _encode(_noise(), "PNG") + b"<script>alert(1)</script>" * 100
    yield "broken ICC profile", _encode(_noise(), "JPEG", icc_profile=b"not a profile" * 20)
    yield "CMYK with a broken profile", _encode(_noise("CMYK"), "JPEG", icc_profile=b"not a profile" * 20)
    yield "long comment", _encode(_noise(), "JPEG", comment=b"c" * 60_000)


def unreadable() -> Iterator[tuple[str, bytes]]:
    """No pictures, or none that may be decoded: a failed row with a reason."""
    yield from _damaged()
    yield from _foreign()
    yield from _false_headers()


def _damaged() -> Iterator[tuple[str, bytes]]:
    for kind in READABLE_KINDS:
        content = _encode(_noise(), kind)
        for share in (0.05, 0.5, 0.9):
            yield f"{kind} cut at {share:.0%}", content[: int(len(content) * share)]
        yield f"{kind} magic only", content[:12]
        yield f"{kind} overwritten", content[:16] + b"\xff" * (len(content) - 16)
    for kind in HIDDEN_KINDS:
        yield f"{kind}, not allowed", _encode(_noise(), kind)


def _foreign() -> Iterator[tuple[str, bytes]]:
    yield "EPS", _encode(_noise(), "EPS")
    yield "PDF", _encode(_noise(), "PDF")
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>x</script></svg>'
    yield "SVG with an entity", b'<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>'
    yield "FITS", b"SIMPLE  =                    T".ljust(2880)
    yield "HTML", b"<!doctype html><img src=x onerror=alert(1)>"
    yield "ZIP", b"PK\x03\x04" + b"\0" * 200
    yield "gzip", zlib.compress(b"\0" * 1_000_000)
    yield "one byte", b"\0"
    yield "zeros", b"\0" * 10_000
    yield "text", "\u202e\ufeffno picture \U0001f5bc".encode()
    for name, start in (
        ("AVIF", b"\0\0\0\x1cftypavif"),
        ("HEIC", b"\0\0\0\x18ftypheic"),
        ("MP4", b"\0\0\0\x18ftypmp42"),
    ):
        yield f"{name} by its first bytes", start + b"\0" * 400
    yield "PSD", b"8BPS\0\x01" + b"\0" * 6 + struct.pack(">HIIHH", 3, 60_000, 60_000, 8, 3) + b"\0" * 40
    yield "JPEG XL", b"\xff\x0a" + b"\0" * 100
    yield "WMF", b"\xd7\xcd\xc6\x9a" + b"\0" * 100
    yield "PostScript", b"%!PS-Adobe-3.0\n(/etc/passwd) run\n"
    yield "a script", b"#!/bin/sh\nrm -rf /\n"
    yield "ELF", b"\x7fELF" + b"\0" * 200
    yield "a pickle", b"\x80\x04cos\nsystem\n(S'true'\ntR."


def _false_headers() -> Iterator[tuple[str, bytes]]:
    yield "PNG signature alone", b"\x89PNG\r\n\x1a\n"
    yield "PNG with a wrong checksum", png_of(10, 10)[:29] + b"\0\0\0\0" + png_of(10, 10)[33:]
    yield "PNG of 16 bits per palette entry", png_of(10, 10, depth=16, colour=3)
    yield "PNG of many text chunks", png_of(10, 10, *[_chunk(b"tEXt", b"k\0" + b"v" * 500)] * 400)
    yield "JPEG of two headers", _encode(_noise(), "JPEG")[:200] + _encode(_noise(), "JPEG")[:400]
    yield "JPEG of markers only", b"\xff\xd8" + b"\xff\xfe\xff\xff" * 1000
    yield (
        "JPEG bomb by header",
        b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", 65_500, 65_500) + b"\x03" + b"\0" * 60,
    )
    yield "JPEG of zero height", b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", 0, 10) + b"\x03" + b"\0" * 60
    yield "GIF without a frame", b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0, 0, 0) + b";"
    yield (
        "TIFF bomb by header",
        b"II*\0"
        + struct.pack("<IH", 8, 2)
        + b"".join(struct.pack("<HHII", tag, 4, 1, 100_000) for tag in (256, 257))
        + b"\0" * 8,
    )
    yield "big TIFF of nothing", b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**63) + b"\0" * 20
    yield (
        "BMP that begins beyond its end",
        b"BM" + struct.pack("<IIIIiiHHIIIIII", 99, 0, 2**31, 40, 9, 9, 1, 24, *[0] * 6),
    )
    yield (
        "WEBP bomb by header",
        b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + b"\xff" * 6,
    )
    yield "PNG of zero width", png_of(0, 10)
    yield "PNG of zero height", png_of(10, 0)
    yield "PNG bomb by header", png_of(60_000, 60_000)
    yield "PNG of the largest size", png_of(2**31 - 1, 2**31 - 1)
    yield "PNG beyond the largest size", png_of(2**32 - 1, 2**32 - 1)
    yield "PNG bomb just above the cap", png_of(2_001, 1_000)
    yield "a row whose enlargement would be a bomb", _encode(Image.new("RGB", (1_000_000, 1)), "PNG")
    yield "a column whose enlargement would be a bomb", _encode(Image.new("RGB", (1, 1_000_000)), "PNG")
    yield "PNG without pixels", png_of(100, 100)
    yield "PNG of odd depth", png_of(10, 10, depth=13)
    yield "PNG of odd colour", png_of(10, 10, colour=77)
    yield "PNG text bomb", png_of(10, 10, _chunk(b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 80_000_000, 9)))
    yield "PNG profile bomb", png_of(10, 10, _chunk(b"iCCP", b"k\0\0" + zlib.compress(b"\0" * 80_000_000, 9)))
    yield "PNG with a negative chunk", b"\x89PNG\r\n\x1a\n" + b"\xff\xff\xff\xffIHDR" + b"\0" * 40
    yield "GIF bomb by header", b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + b"\0" * 60
    yield "BMP of negative size", b"BM" + struct.pack("<IIIIiiHHIIIIII", 99, 0, 54, 40, -9, -9, 1, 24, 0, 0, 0, 0, 0, 0)
    yield "BMP bomb by header", b"BM" + struct.pack("<IIIIiiHHIIIIII", 99, 0, 54, 40, 50_000, 50_000, 1, 24, *[0] * 6)
    yield "TIFF that points at itself", b"II*\0" + struct.pack("<I", 8) + struct.pack("<HHHIII", 1, 254, 4, 1, 0, 8)
    yield "TIFF without entries", b"II*\0" + struct.pack("<IH", 8, 0) + b"\0" * 16
    yield "TIFF of float samples", _encode(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF")
    yield "WEBP of nothing", b"RIFF" + struct.pack("<I", 12) + b"WEBPVP8X" + b"\0" * 20
