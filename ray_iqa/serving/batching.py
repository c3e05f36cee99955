"""Batches of pictures, weighed by their pixels, for a model that scores one batch at a time."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from PIL import Image

from ray_iqa.serving.types import PictureScore

_POLL_S = 0.002


class PictureBatches:
    """Forms the next batch while one is scored; must be used within one event loop.

    A batch starts when it is full, when no picture is about to join it, or when it has waited long enough: a lone
    picture never waits, and those of one request go together.

    Args:
        score: scores a batch, in a thread; one row per picture, in order.
        weight: what a picture costs.
        is_growing: whether pictures are being decoded now.
    """

    def __init__(
        self,
        score: Callable[[Sequence[Image.Image]], list[PictureScore]],
        weight: Callable[[Image.Image], int],
        is_growing: Callable[[], bool],
    ) -> None:
        self._score, self._weight, self._is_growing = score, weight, is_growing
        self.max_weight, self.max_wait_s = 1, 0.0
        self._waiting: deque[tuple[Image.Image, int, asyncio.Future[PictureScore]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def score(self, picture: Image.Image) -> PictureScore:
        """The row of a picture, once the batch that it is in was scored."""
        row: asyncio.Future[PictureScore] = asyncio.get_running_loop().create_future()
        self._waiting.append((picture, self._weight(picture), row))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await row

    async def _work(self) -> None:
        while self._waiting:
            deadline = time.monotonic() + self.max_wait_s
            while self._is_growing() and self._pending_weight() < self.max_weight and time.monotonic() < deadline:
                await asyncio.sleep(_POLL_S)
            if not (batch := self._take()):
                continue
            try:
                rows = await asyncio.to_thread(self._score, [picture for picture, _ in batch])
            except Exception as error:  # noqa: BLE001 - belongs to those who wait for the batch
                for _, waiter in batch:
                    if not waiter.done():
                        waiter.set_exception(error)
                continue
            for (_, waiter), row in zip(batch, rows, strict=True):
                if not waiter.done():  # nobody waits for a cancelled one
                    waiter.set_result(row)

    def _pending_weight(self) -> int:
        return sum(weight for _, weight, _ in self._waiting)

    def _take(self) -> list[tuple[Image.Image, asyncio.Future[PictureScore]]]:
        """The oldest ones that fit, at least one; those that nobody waits for any longer are dropped."""
        batch: list[tuple[Image.Image, asyncio.Future[PictureScore]]] = []
        left = self.max_weight
        while self._waiting and (not batch or self._waiting[0][1] <= left):
            picture, weight, waiter = self._waiting.popleft()
            if not waiter.done():
                batch.append((picture, waiter))
                left -= weight
        return batch
