import asyncio
import io
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from ray_iqa.config.serve import DecodingConfig
from ray_iqa.data.images import load_image
from ray_iqa.errors import DataError
from ray_iqa.http.decoding import DecodeWorkers


@pytest.fixture(scope="module")
def slow_jpeg() -> bytes:
    """Progressive, many pixels: a legal file that takes a second to decode."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400), dtype=np.uint8)
    Image.fromarray(pixels).resize((6000, 5000)).convert("RGB").save(buffer, "JPEG", progressive=True, quality=95)
    return buffer.getvalue()


def test_pixels_are_those_of_the_one_decode_function(png: Callable[..., bytes]) -> None:
    content = png(5, (90, 40), "JPEG")

    async def decode() -> Image.Image:
        async with DecodeWorkers(DecodingConfig()).decoded(content) as picture:
            return picture

    assert np.array_equal(np.asarray(asyncio.run(decode())), np.asarray(load_image(content)))


def test_a_slow_file_is_killed_and_the_next_one_served(png: Callable[..., bytes], slow_jpeg: bytes) -> None:

    async def run() -> float:
        workers = DecodeWorkers(DecodingConfig(num_workers=1, timeout_s=20.0))
        await workers.start()
        hurried = DecodeWorkers(DecodingConfig(num_workers=1, timeout_s=0.1))
        began = time.monotonic()
        with pytest.raises(DataError, match=r"longer than 0\.1 s"):
            async with hurried.decoded(slow_jpeg):
                pass
        took = time.monotonic() - began
        async with workers.decoded(png()) as picture:
            assert picture.size == (70, 60)
        return took

    assert asyncio.run(run()) < 15.0  # a second where nothing else runs


def test_a_decoder_may_not_take_more_memory_than_allowed(slow_jpeg: bytes) -> None:

    async def run() -> None:
        workers = DecodeWorkers(DecodingConfig(num_workers=1, max_memory_bytes=60_000_000))
        with pytest.raises(DataError, match=r"broke down|cannot decode"):
            async with workers.decoded(slow_jpeg):
                pass

    asyncio.run(run())


def test_the_largest_pictures_allowed_fit_in_the_memory_allowed() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (10_000, 5_000), (9, 9, 9, 128)).save(buffer, "PNG", compress_level=1)

    async def decode() -> tuple[int, int]:
        async with DecodeWorkers(DecodingConfig()).decoded(buffer.getvalue()) as picture:
            return picture.size

    assert asyncio.run(decode()) == (10_000, 5_000)


def test_decoded_pictures_in_waiting_are_bounded(png: Callable[..., bytes]) -> None:
    content = png()  # 4,200 pixels
    held = most = 0

    async def run() -> None:
        workers = DecodeWorkers(DecodingConfig(num_workers=1, max_pending_pixels=10_000))

        async def hold() -> None:
            nonlocal held, most
            async with workers.decoded(content):
                held += 1
                most = max(most, held)
                await asyncio.sleep(0.02)
                held -= 1

        await asyncio.gather(*(hold() for _ in range(6)))

    asyncio.run(run())
    assert (held, most) == (0, 2)
