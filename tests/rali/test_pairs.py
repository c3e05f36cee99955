"""Which picture meets which text: a function of seed and epoch, for any number of workers."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from ray_iqa.errors import DataError
from ray_iqa.rali.fit.pairs import AlignmentPairs, pair_up
from ray_iqa.rali.model.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(size=8, mean=(0, 0, 0), std=(1, 1, 1), resize="shortest", interpolation="bicubic")
IMAGES = [np.full((8, 8, 3), 10 * number, np.uint8) for number in range(10)]  # the grey level tells the picture
TEXTS = [["same", f"own {number}"] for number in range(10)]


class Texts:
    """Splits a reasoning at slashes; the embedding tells the place in the first call."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def training_texts(self, reasoning: str) -> list[str]:
        return reasoning.split("/")

    def embeddings(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.extend(texts)
        return np.eye(16, dtype=np.float32)[: len(texts)]


def seen(pairs: AlignmentPairs, epoch: int, **workers: int) -> list[list[tuple[int, int]]]:
    """(picture, text id) of each pair, by step."""
    return [
        [(round(float(p.mean()) * 25.5), int(i)) for p, i in zip(batch.pixels, batch.text_ids, strict=True)]
        for batch in pairs.epoch(epoch, 4, PREPROCESSING, 0, **workers)
    ]


def test_different_texts_are_embedded_once_and_identical_ones_share_an_id() -> None:
    source = Texts()
    pairs = pair_up(IMAGES, TEXTS, source, texts_per_image=2)
    assert source.asked == ["same", *(f"own {number}" for number in range(10))]
    assert [list(rows) for rows in pairs.choices[:3]] == [[0, 1], [0, 2], [0, 3]]
    alone = pair_up(IMAGES, TEXTS, Texts(), texts_per_image=1)
    assert all(list(rows) == [0] for rows in alone.choices)


def test_runs_of_a_long_text_count_as_one_of_the_texts_per_image() -> None:
    source = Texts()
    pairs = pair_up(IMAGES[:2], [["a/b", "c"], ["b"]], source, texts_per_image=1)
    assert source.asked == ["a", "b"]
    assert [list(rows) for rows in pairs.choices] == [[0, 1], [1]]


def test_an_epoch_shows_each_picture_at_most_once_with_one_of_its_own_texts() -> None:
    pairs = pair_up(IMAGES, TEXTS, Texts(), texts_per_image=2)
    steps = seen(pairs, epoch=0)
    assert [len(step) for step in steps] == [4, 4]
    shown = [pair for step in steps for pair in step]
    assert len({picture for picture, _ in shown}) == 8
    assert all(text in (0, picture + 1) for picture, text in shown)
    vectors = next(iter(pairs.epoch(0, 4, PREPROCESSING, 0))).texts
    assert [int(vector.argmax()) for vector in vectors] == [text for _, text in steps[0]]


def test_epochs_differ_and_repeat() -> None:
    pairs = pair_up(IMAGES, TEXTS, Texts(), texts_per_image=2)
    assert seen(pairs, 0) == seen(pairs, 0)
    assert seen(pairs, 0) != seen(pairs, 1)
    texts_of_first = {text for epoch in range(12) for step in seen(pairs, epoch) for image, text in step if image == 0}
    assert texts_of_first == {0, 1}


def test_workers_share_the_batches_of_one() -> None:
    pairs = pair_up(IMAGES, TEXTS, Texts(), texts_per_image=2)
    first, second = (seen(pairs, 3, rank=rank, num_workers=2) for rank in range(2))
    assert [sorted(a + b) for a, b in zip(first, second, strict=True)] == [sorted(step) for step in seen(pairs, 3)]
    odd = [seen(pairs, 3, rank=rank, num_workers=3) for rank in range(3)]
    assert all(len(step) == 1 for worker in odd for step in worker)  # 4 pairs, 3 workers: equal shares


def test_a_sound_pair_of_the_share_stands_in_for_a_picture_that_cannot_be_read() -> None:
    images = [*IMAGES]
    images[4] = "/gone.png"
    sound, broken = (pair_up(own, TEXTS, Texts(), texts_per_image=2) for own in (IMAGES, images))
    for expected, found in zip(seen(sound, 0), seen(broken, 0), strict=True):
        kept = [pair for pair in expected if pair[0] != 4]
        assert found == [*kept, *expected[: len(expected) - len(kept)]]
    with pytest.raises(DataError, match=r"none of 4 can be read: /gone\.png: no such image file"):
        seen(pair_up(["/gone.png"] * 4, TEXTS[:4], Texts(), texts_per_image=1), 0)


def test_augmentation_is_the_same_for_every_worker_and_changes_with_the_epoch() -> None:
    stripes = [np.tile(np.arange(12, dtype=np.uint8)[None, :, None] * 20, (8, 1, 3)) for _ in range(4)]
    pairs = pair_up(stripes, [["a"]] * 4, Texts(), texts_per_image=1)
    whole = next(iter(pairs.epoch(0, 4, PREPROCESSING, 0))).pixels
    halves = [next(iter(pairs.epoch(0, 4, PREPROCESSING, 0, rank=rank, num_workers=2))).pixels for rank in range(2)]
    assert torch.equal(whole[0::2], halves[0])
    assert torch.equal(whole[1::2], halves[1])
    assert not torch.equal(whole, next(iter(pairs.epoch(1, 4, PREPROCESSING, 0))).pixels)
