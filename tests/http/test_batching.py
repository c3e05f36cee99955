import asyncio
import time
from collections.abc import Sequence

import pytest
from PIL import Image

from ray_iqa.serving.batching import PictureBatches
from ray_iqa.serving.types import PictureScore


class Scorer:
    """Gives every picture its width as a score; notes the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def score(self, pictures: Sequence[Image.Image]) -> list[PictureScore]:
        self.batches.append([picture.width for picture in pictures])
        time.sleep(0.02)
        if any(picture.width == 13 for picture in pictures):
            raise RuntimeError("unlucky")
        return [PictureScore(value=float(picture.width), model="m", revision="r", status="ok") for picture in pictures]


def _batches(scorer: Scorer, max_weight: int, growing: list[bool]) -> PictureBatches:
    batches = PictureBatches(scorer.score, lambda picture: picture.width, lambda: growing[0])
    batches.max_weight, batches.max_wait_s = max_weight, 2.0
    return batches


async def _all(batches: PictureBatches, *widths: int) -> list[float | None]:
    rows = await asyncio.gather(*(batches.score(Image.new("L", (width, 1))) for width in widths))
    return [row.value for row in rows]


def test_batches_are_as_heavy_as_allowed_and_answers_find_their_way() -> None:
    scorer = Scorer()

    async def run() -> list[float | None]:
        return await _all(_batches(scorer, 10, [False]), 4, 5, 3, 9, 20, 1)

    assert asyncio.run(run()) == [4, 5, 3, 9, 20, 1]
    assert scorer.batches == [[4, 5], [3], [9], [20], [1]]


def test_a_batch_waits_for_pictures_that_are_being_decoded_but_not_for_ever() -> None:
    scorer, growing = Scorer(), [True]

    async def run() -> float:
        batches = _batches(scorer, 100, growing)
        first = asyncio.create_task(_all(batches, 1))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(_all(batches, 2))
        await asyncio.sleep(0.05)
        growing[0] = False
        await asyncio.gather(first, second)
        began = time.monotonic()
        await _all(batches, 3)
        lone_s = time.monotonic() - began
        growing[0] = True
        await _all(batches, 4)
        return lone_s

    assert asyncio.run(run()) < 2.0
    assert scorer.batches == [[1, 2], [3], [4]]


def test_an_error_belongs_to_its_batch_and_a_cancelled_picture_to_none() -> None:
    scorer = Scorer()

    async def run() -> None:
        batches = _batches(scorer, 20, [False])
        running = asyncio.create_task(_all(batches, 1))
        await asyncio.sleep(0.01)
        unlucky = asyncio.create_task(_all(batches, 13, 5))
        gone = asyncio.create_task(_all(batches, 7))
        kept = asyncio.create_task(_all(batches, 8))
        await asyncio.sleep(0)
        gone.cancel()
        assert await running == [1]
        with pytest.raises(RuntimeError, match="unlucky"):
            await unlucky
        assert await kept == [8]

    asyncio.run(run())
    assert scorer.batches == [[1], [13, 5], [8]]
