"""The pictures that annotation works on, with or without labels."""

import math
from collections import defaultdict
from dataclasses import dataclass

from ray_iqa.config.jobs.annotate import AnnotatedImagesConfig
from ray_iqa.rali.annotations.pictures import read_pictures
from ray_iqa.seeds import derive_seed
from ray_iqa.types import LabelledImage


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedImage:
    """One picture; ``mos`` and ``mapped_mos`` are None without a label."""

    image_id: str
    image_path: str
    dataset: str
    mos: float | None
    mapped_mos: float | None

    @property
    def key(self) -> tuple[str, str]:
        """What is unique over all sources."""
        return self.dataset, self.image_id

    def for_sampler(self) -> LabelledImage:
        """As the sampler takes it, which looks at no label."""
        return LabelledImage(
            image_id=self.image_id,
            image_path=self.image_path,
            dataset=self.dataset,
            mos=math.nan,
            mos_std=None,
            higher_is_better=True,
        )


def read_images(config: AnnotatedImagesConfig) -> list[AnnotatedImage]:
    """Every picture of every source; files are not opened.

    Raises:
        ConfigError, DataError: as `read_pictures`.
    """
    return _first([AnnotatedImage(**row) for row in read_pictures(config).to_pylist()], config.max_per_dataset)


def _first(images: list[AnnotatedImage], count: int | None) -> list[AnnotatedImage]:
    """At most ``count`` of each data set, spread over it, in their own order.

    Not `validation.select_images`, whose hash and order are others: a run that is resumed must choose the same again.
    """
    if count is None:
        return images
    by_dataset: dict[str, list[AnnotatedImage]] = defaultdict(list)
    for image in sorted(images, key=lambda image: derive_seed("annotated", *image.key)):
        by_dataset[image.dataset].append(image)
    chosen = {image.key for own in by_dataset.values() for image in own[:count]}
    return [image for image in images if image.key in chosen]
