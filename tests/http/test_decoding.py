import asyncio
import errno
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

import numpy as np
import pytest
import uvloop
from PIL import Image

from ray_iqa.config.serve import DecodingConfig
from ray_iqa.data.images import load_image
from ray_iqa.errors import DataError
from ray_iqa.serving.decoder_pool import DecodeWorkers

ALLOWED = {b"", b"LD_LIBRARY_PATH", b"PYTHONPATH", b"PYTHONHOME", b"OMP_NUM_THREADS"}


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


@pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run])  # a replica's is uvloop's
def test_a_decoder_has_nothing_that_it_has_no_use_for(
    png: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, run_loop: Callable[[Coroutine[None, None, None]], None]
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a secret of the service")

    async def run() -> None:
        workers = DecodeWorkers(DecodingConfig(num_workers=1, timeout_s=7.0))
        with tempfile.TemporaryFile() as secret:
            os.set_inheritable(secret.fileno(), True)
            await workers.start()
        async with workers.decoded(png()):
            [process] = workers._idle  # of what runs there the class says nothing
            found = Path(f"/proc/{process.pid}")
            environment = (found / "environ").read_bytes().split(b"\0")
            assert {name.partition(b"=")[0] for name in environment} <= ALLOWED
            assert {int(each.name) for each in (found / "fd").iterdir()} == {0, 1, 2, 3}
            assert (found / "fd" / "1").readlink() == (found / "fd" / "2").readlink()
            assert "NoNewPrivs:\t1" in (found / "status").read_text()
            limits = dict(re.findall(r"^Max (.+?) {2,}(\S+ +\S+)", (found / "limits").read_text(), re.MULTILINE))
        zero = {limits[name].split()[1] for name in ("file size", "core file size", "processes")}
        assert zero == {"0"}
        assert limits["open files"].split() == ["16", "16"]
        assert 8 <= int(limits["cpu time"].split()[0]) <= 15  # the seconds of one file more than it has had
        for name in ("address space", "data size"):
            assert 2**31 < int(limits[name].split()[1]) < 2**32
        workers.close()

    run_loop(run())


def test_a_decoder_that_is_taken_over_can_fill_neither_disk_nor_memory(tmp_path: Path) -> None:
    """What a program that took it over would be told."""
    script = f"""
import os
from ray_iqa.config.serve import DecodingConfig
from ray_iqa.serving import decoder_process as decoder
decoder._confine(DecodingConfig())
for attempt in (
    lambda: os.write(os.open({str(tmp_path / "x")!r}, os.O_CREAT | os.O_WRONLY), b"x"),
    lambda: [open("/dev/null") for _ in range(20)],
    lambda: bytearray(3 * 2**30),
):
    try:
        attempt()
    except (OSError, MemoryError) as error:
        print(type(error).__name__, getattr(error, "errno", ""))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [f"OSError {errno.EFBIG}", f"OSError {errno.EMFILE}", "MemoryError "]


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
