"""One picture that annotation works on, with or without a label."""

import math
from dataclasses import dataclass

from ray_iqa.types import LabelledImage


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedImage:
    """A row of `pictures.SCHEMA`; ``mos`` and ``mapped_mos`` are None without a label."""

    image_id: str
    image_path: str
    dataset: str
    mos: float | None
    mapped_mos: float | None

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
