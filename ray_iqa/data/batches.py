"""Which images a step samples, as a function of seed and step alone.

A step is cut into cells of ``min_partners + 1`` images or a little more, and a cell takes its images
from one label scale (a dataset, or a scene where scenes have scales of their own): so every image meets
its partners, whatever the mixture. An epoch deals the cells to the scales in proportion to their sizes,
evenly spread, and the images to the cells without replacement. Images that fill no cell sit an epoch
out, in turn.
"""

from collections.abc import Sequence
from itertools import cycle, groupby

import numpy as np
from numpy.typing import NDArray

from ray_iqa.data.unique import once
from ray_iqa.errors import ConfigError
from ray_iqa.types import LabelledImage


class ImageBatches:
    """Composes steps of ``images_per_step`` different images."""

    def __init__(self, images: Sequence[LabelledImage], images_per_step: int, min_partners: int, seed: int) -> None:
        """Plan an epoch; the order of ``images`` does not matter.

        Raises:
            ConfigError: a dataset or scene is too small, or there are too few images for one step.
            DataError: the same image_id of a dataset is there twice.
        """
        self._scales, self._seed = label_scales(images), seed
        self._cell_sizes = cell_sizes(images_per_step, min_partners)
        self._cells = self._plan_epoch(images_per_step, min_partners)
        self._taken = {number: stop for number, _, stop in self._cells}
        self.steps_per_epoch = len(self._cells) // len(self._cell_sizes)

    def for_step(self, step: int) -> list[LabelledImage]:
        """The images of ``step`` (counted from 1), those of a label scale next to each other."""
        assert step >= 1, f"steps count from 1, got {step}"
        epoch, place = divmod(step - 1, self.steps_per_epoch)
        num_cells = len(self._cell_sizes)
        cells = sorted(self._cells[place * num_cells : (place + 1) * num_cells])
        order = {number: self._order(number, epoch) for number in {number for number, _, _ in cells}}
        return [self._scales[number][i] for number, start, stop in cells for i in order[number][start:stop]]

    def _plan_epoch(self, images_per_step: int, min_partners: int) -> list[tuple[int, int, int]]:
        """(number of the scale, start, stop) of each cell; start and stop count the scale's images of the epoch."""
        sizes = [len(members) for members in self._scales]
        for members in self._scales:
            if len(members) < self._cell_sizes[-1]:
                raise ConfigError(
                    f"{name_of_scale(members[0])} must have at least {self._cell_sizes[-1]} images to fill its part "
                    f"of a step with data.images_per_step {images_per_step} and data.min_partners {min_partners}, "
                    f"got {len(members)}; leave it out or lower data.min_partners"
                )
        taken = [0] * len(sizes)
        cells: list[tuple[int, int, int]] = []
        for cell_size in cycle(self._cell_sizes):
            fitting = [number for number, size in enumerate(sizes) if taken[number] + cell_size <= size]
            if not fitting:
                break
            number = min(fitting, key=lambda n: (taken[n] + cell_size / 2) / sizes[n])  # the one most behind
            cells.append((number, taken[number], taken[number] + cell_size))
            taken[number] += cell_size
        planned = cells[: len(cells) - len(cells) % len(self._cell_sizes)]
        if not planned:
            raise ConfigError(
                f"data.images_per_step must be lower, got {images_per_step}: {sum(sizes)} images of {len(sizes)} "
                f"datasets cannot fill a step with {min_partners} partners for each"
            )
        absent = set(range(len(sizes))) - {number for number, _, _ in planned}
        if absent:
            name = name_of_scale(self._scales[min(absent)][0])
            raise ConfigError(f"{name} is too small beside the others to fill a part of any step; leave it out")
        return planned

    def _order(self, number: int, epoch: int) -> NDArray[np.int64]:
        """The scale's images of an epoch, shuffled; the rest sits out, every image equally often."""
        size = len(self._scales[number])
        idle = size - self._taken[number]
        queue = np.random.default_rng([self._seed, number]).permutation(size)
        active = np.roll(queue, -epoch * idle)[idle:]
        return np.random.default_rng([self._seed, number, epoch + 1]).permutation(active)


def label_scales(images: Sequence[LabelledImage]) -> list[list[LabelledImage]]:
    """The images by label scale, in an order that does not depend on theirs.

    Raises:
        DataError: the same image_id of a dataset is there twice.
    """
    ids = ((image.image_path, (image.image_id, image.dataset, image.question), None) for image in images)
    once(ids, "image_id {0[0]!r} of dataset {0[1]!r}")
    ordered = sorted(images, key=lambda image: (image.label_scale, image.image_id))
    return [list(members) for _, members in groupby(ordered, key=lambda image: image.label_scale)]


def cell_sizes(images_per_step: int, min_partners: int) -> list[int]:
    """Images in each cell of a step.

    Raises:
        ConfigError: a step has no room for an image with its partners.
    """
    num_cells = images_per_step // (min_partners + 1)
    if num_cells == 0:
        raise ConfigError(
            f"data.images_per_step must exceed data.min_partners, got {images_per_step} <= {min_partners}"
        )
    return [images_per_step // num_cells + (i < images_per_step % num_cells) for i in range(num_cells)]


def name_of_scale(image: LabelledImage) -> str:
    """Dataset and scene of an image, for a sentence."""
    scene = "" if image.scene_id is None else f"scene {image.scene_id!r} of "
    return f"{scene}dataset {image.dataset!r}"
