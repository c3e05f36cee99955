"""Strangers' files are decoded in processes that can be killed: bounded in number, time and memory."""

import asyncio
import io
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from PIL import Image

from ray_iqa.config.serve import DecodingConfig
from ray_iqa.errors import DataError, ResourceError
from ray_iqa.serving.decoder_process import FILE, HEADER, PICTURE, SIZE
from ray_iqa.serving.types import PictureScore

_ENVIRONMENT = ("LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME")  # where its code is
_BUFFER_BYTES = 2**20  # of an answer; the default makes a picture many small reads


class DecodeWorkers:
    """Decodes files as `load_image` does; must be used within one event loop.

    ``observe`` is told the seconds that each file took a worker.
    """

    def __init__(self, config: DecodingConfig, observe: Callable[[float], None] = lambda _: None) -> None:
        self._config, self._observe = config, observe
        self._free = asyncio.Semaphore(config.num_workers)
        self._idle: list[Process] = []
        self._num_decoding = self._pending_pixels = 0
        self._taken = asyncio.Condition()

    @property
    def is_decoding(self) -> bool:
        """Whether a worker is busy with a file now."""
        return self._num_decoding > 0

    @asynccontextmanager
    async def decoded(self, content: bytes) -> AsyncIterator[Image.Image]:
        """8-bit RGB picture of a file's content, for as long as the context lasts.

        A file waits for a worker, and a worker waits until pictures decoded before are given up: what is held at the
        same time has at most ``max_pending_pixels``, besides one picture per worker.

        Raises:
            DataError: the file cannot be decoded within the limits of its pixels, time or memory.
        """
        async with self._free:
            began = time.perf_counter()
            self._num_decoding += 1
            try:
                picture = await self._decode(content)
            finally:
                self._num_decoding -= 1
                self._observe(time.perf_counter() - began)
            pixels = min(picture.width * picture.height, self._config.max_pending_pixels)
            async with self._taken:
                await self._taken.wait_for(lambda: self._pending_pixels + pixels <= self._config.max_pending_pixels)
                self._pending_pixels += pixels
        try:
            yield picture
        finally:
            async with self._taken:
                self._pending_pixels -= pixels
                self._taken.notify_all()

    async def start(self) -> None:
        """Start all workers, so that the first requests do not wait for them.

        Raises:
            ResourceError: a good picture cannot be decoded.
        """
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, "PNG")
        try:
            await asyncio.gather(*(self._decode(buffer.getvalue()) for _ in range(self._config.num_workers)))
        except DataError as error:
            raise ResourceError(
                f"decoder processes must start within decoding.timeout_s and decoding.max_memory_bytes: {error}"
            ) from error

    def close(self) -> None:
        """End all workers."""
        while self._idle:
            self._idle.pop().kill()

    async def _decode(self, content: bytes) -> Image.Image:
        name, timeout_s = f"image of {len(content)} bytes", self._config.timeout_s
        self._idle = [worker for worker in self._idle if worker.returncode is None]
        worker = self._idle.pop() if self._idle else await self._new_worker()
        try:
            async with asyncio.timeout(timeout_s):
                kind, answer = await _ask(worker, content, SIZE.size + 3 * self._config.max_pixels)
        except BaseException as error:
            if worker.returncode is None:
                worker.kill()
            if isinstance(error, TimeoutError):
                raise DataError(f"{name}: decoding took longer than {timeout_s:g} s") from error
            if isinstance(error, asyncio.IncompleteReadError | OSError):
                raise DataError(f"{name}: the decoder broke down on it") from error
            raise
        self._idle.append(worker)
        if kind != PICTURE:
            raise DataError(answer.decode(errors="replace"))
        return Image.frombytes("RGB", SIZE.unpack_from(answer), answer[SIZE.size :])

    async def _new_worker(self) -> Process:
        """A process that inherits its three streams and the environment that its code is found by, no more."""
        command = (sys.executable, "-m", "ray_iqa.serving.decoder_process", self._config.model_dump_json())
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | {"OMP_NUM_THREADS": "1"}
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, env=environment, limit=_BUFFER_BYTES
        )


async def _ask(worker: Process, content: bytes, max_bytes: int) -> tuple[bytes, bytes]:
    """One message there and one back.

    Raises:
        OSError, IncompleteReadError: the worker died, or answers more than any picture has.
    """
    assert worker.stdin is not None, "opened with a pipe"
    assert worker.stdout is not None, "opened with a pipe"
    worker.stdin.writelines([HEADER.pack(FILE, len(content)), content])
    await worker.stdin.drain()
    kind, size = HEADER.unpack(await worker.stdout.readexactly(HEADER.size))
    if size > max_bytes:
        raise OSError(f"a decoder announced {size} bytes")
    return kind, await worker.stdout.readexactly(size)


async def score_files(
    files: Sequence[bytes],
    workers: DecodeWorkers,
    score: Callable[[Image.Image], Awaitable[PictureScore]],
    failed: Callable[[str], PictureScore],
) -> list[PictureScore]:
    """Decode and score each file, in order; ``failed`` makes the row of one that cannot be decoded."""

    async def one(content: bytes) -> PictureScore:
        try:
            async with workers.decoded(content) as picture:
                return await score(picture)
        except DataError as error:
            return failed(str(error))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(content)) for content in files]
    return [task.result() for task in tasks]
