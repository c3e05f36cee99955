"""Which picture meets which text in which step of stage 1: a function of (seed, epoch), whatever the workers.

Each epoch shows every picture once, with one of its texts at random. The paper's "seed augmentation" is read as
several reasonings per image.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ray_iqa.errors import DataError
from ray_iqa.rali.fit.alignment import AlignmentBatch
from ray_iqa.rali.model.preprocessing import ImageSource, Preprocessing
from ray_iqa.seeds import derive_seed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentPairs:
    """M pictures and the embeddings of the texts that each may be paired with."""

    images: Sequence[ImageSource]  # M
    choices: Sequence[NDArray[np.int64]]  # M, rows of `vectors`
    vectors: NDArray[np.float32]  # [U, D], unit length, one per different text

    def num_steps(self, batch_size: int) -> int:
        """Steps of an epoch; what does not fill a batch waits for the next epoch's order."""
        return len(self.images) // self._size(batch_size)

    def epoch(
        self,
        epoch: int,
        batch_size: int,
        preprocessing: Preprocessing,
        seed: int,
        *,
        rank: int = 0,
        num_workers: int = 1,
    ) -> Iterator[AlignmentBatch]:
        """The batches of one worker; all workers' together do not depend on how many there are.

        A picture that can no longer be read gives its place to others of the worker's share, and why is logged.

        Args:
            epoch: counted from 0.
            batch_size: pairs of a step over all workers; reduced to the number of pictures, and then to a multiple
                of ``num_workers``.
            preprocessing: of the tower.
            seed: of order, texts and augmentation.
            rank: this worker.
            num_workers: workers that share each batch.
        """
        order = np.random.default_rng(derive_seed(seed, "alignment order", epoch)).permutation(len(self.images))
        size = self._size(batch_size)
        for start in range(0, self.num_steps(batch_size) * size, size):
            share = order[start : start + size - size % num_workers][rank::num_workers]
            yield self._batch(share, epoch, preprocessing, seed)

    def _size(self, batch_size: int) -> int:
        return min(batch_size, len(self.images))

    def _batch(self, rows: NDArray[np.int64], epoch: int, preprocessing: Preprocessing, seed: int) -> AlignmentBatch:
        pixels, texts, reason = [], [], ""
        for row in rows:
            rng = np.random.default_rng(derive_seed(seed, "alignment pair", epoch, int(row)))
            text = int(rng.choice(self.choices[row]))
            try:
                pixels.append(preprocessing.augmented(self.images[row], rng))
                texts.append(text)
            except DataError as error:
                reason = str(error)
                logger.warning("a picture leaves epoch %d of alignment: %s", epoch, reason)
        if not texts:
            raise DataError(f"a step of alignment needs a picture, but none of {len(rows)} can be read: {reason}")
        # Workers must have equal shares, so sound pairs stand in for the others; a text is no negative of itself.
        filled = list(islice(cycle(range(len(texts))), len(rows)))
        text_ids = torch.tensor(texts)[filled]
        vectors = torch.from_numpy(self.vectors[text_ids.numpy()])
        return AlignmentBatch(pixels=torch.stack(pixels)[filled], texts=vectors, text_ids=text_ids)


class TextSource(Protocol):
    """Where training texts and their embeddings come from: a text tower, or what annotation stored."""

    def training_texts(self, reasoning: str) -> list[str]:
        """What stands for a reasoning in training: itself, or runs of its sentences."""

    def embeddings(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts -> [n, D], unit length."""


def pair_up(
    images: Sequence[ImageSource], reasonings: Sequence[Sequence[str]], source: TextSource, texts_per_image: int
) -> AlignmentPairs:
    """Pairs of pictures with the first ``texts_per_image`` of their reasonings; every different text is embedded once.

    Args:
        images: M pictures.
        reasonings: M lists, each with at least one text.
        source: of training texts and embeddings.
        texts_per_image: 1 is the ablation without seed augmentation.
    """
    used = [
        [text for reasoning in own[:texts_per_image] for text in source.training_texts(reasoning)] for own in reasonings
    ]
    row_of = {text: row for row, text in enumerate(dict.fromkeys(text for own in used for text in own))}
    choices = [np.array([row_of[text] for text in own], dtype=np.int64) for own in used]
    return AlignmentPairs(images=images, choices=choices, vectors=source.embeddings(list(row_of)))
