"""Which images a step samples when datasets have weights of their own instead of their sizes.

As in `ray_iqa.data.batches`, a step is cut into cells of ``min_partners + 1`` images or a little more, each of one
label scale, and what a step samples is a function of seed and step alone. An epoch deals as many cells as there are
images for, evenly spread by weight; so a dataset with a small weight is seen in part, one with a large weight several
times.

Departure from VisualQuality-R1's sampler, which draws the dataset of each GPU's batch by lot, uniformly among those
with images left, and ends an epoch with unequal shares: with uniform weights every dataset has the same share of every
few steps.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ray_iqa.data.batches import cell_sizes, label_scales, name_of_scale
from ray_iqa.errors import ConfigError
from ray_iqa.types import LabelledImage


class WeightedBatches:
    """Composes steps of ``images_per_step`` different images."""

    def __init__(
        self,
        images: Sequence[LabelledImage],
        images_per_step: int,
        min_partners: int,
        seed: int,
        weights: Mapping[str, float] | None,
    ) -> None:
        """``weights`` by dataset, whatever their sum; None gives each the same.

        Raises:
            ConfigError: the weights are not those of the images' datasets, or a dataset is too small for its share of a
                step.
            DataError: the same image_id of a dataset is there twice.
        """
        self._scales, self._seed = label_scales(images), seed
        datasets = Counter(image.dataset for image in images)
        shares = dict.fromkeys(datasets, 1.0) if weights is None else weights
        if set(shares) != set(datasets):
            raise ConfigError(
                "data.mixture must have a weight for each dataset of data.train, which are "
                f"{', '.join(sorted(datasets))}, got weights of {', '.join(sorted(shares)) or 'none'}"
            )
        # A dataset's scenes share its weight by their sizes.
        weight = [shares[scale[0].dataset] * len(scale) / datasets[scale[0].dataset] for scale in self._scales]
        sizes = cell_sizes(images_per_step, min_partners)
        self.steps_per_epoch = max(1, len(images) // images_per_step)
        dealt = [0] * len(self._scales)
        self._counts: list[Counter[int]] = []  # of each step of an epoch: images by number of the scale
        for _ in range(self.steps_per_epoch):
            counts: Counter[int] = Counter()
            for size in sizes:
                number = min(range(len(weight)), key=lambda n: (dealt[n] + size / 2) / weight[n])  # the most behind
                dealt[number] += size
                counts[number] += size
            self._counts.append(counts)
        for number, scale in enumerate(self._scales):
            most = max(counts[number] for counts in self._counts)
            if most > len(scale):
                raise ConfigError(
                    f"{name_of_scale(scale[0])} has {len(scale)} images, but its weight in data.mixture asks for "
                    f"{most} different ones in a step; lower it, or data.images_per_step"
                )

    def for_step(self, step: int) -> list[LabelledImage]:
        """The images of ``step`` (counted from 1), those of a label scale next to each other."""
        assert step >= 1, f"steps count from 1, got {step}"
        epoch, place = divmod(step - 1, self.steps_per_epoch)
        return [image for number in sorted(self._counts[place]) for image in self._drawn(number, epoch, place)]

    def _drawn(self, number: int, epoch: int, place: int) -> list[LabelledImage]:
        """What a scale gives to a step: the next images of a shuffled order, of another one where too few are left."""
        scale, order, start = self._scales[number], 0, 0
        for counts in self._counts[:place]:
            order, start = self._next(order, start, counts[number], len(scale))
        count = self._counts[place][number]
        order, stop = self._next(order, start, count, len(scale))
        shuffled = np.random.default_rng([self._seed, number, epoch, order]).permutation(len(scale))
        return [scale[i] for i in shuffled[stop - count : stop]]

    @staticmethod
    def _next(order: int, start: int, count: int, size: int) -> tuple[int, int]:
        """Number of the order that ``count`` images are taken from, and where the next ones begin."""
        return (order, start + count) if start + count <= size else (order + 1, count)
