"""Labels as the rewards read them: which way is better, and where on the scale of the scores.

The rank rewards need the direction only. The two rewards that compare a score with a label (Q-Insight's threshold,
MR-IQA's Gaussian) need the label on the scale the policy scores on, so its dataset's range has to be known.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ray_iqa.data.label_maps import LabelRanges, on_scale
from ray_iqa.errors import ConfigError
from ray_iqa.types import LabelledImage, Scale


def oriented_mos(images: Sequence[LabelledImage]) -> NDArray[np.float64]:
    """[B] labels with higher is better: lower-is-better ones are negated, none is re-scaled."""
    return np.array([image.mos if image.higher_is_better else -image.mos for image in images], dtype=np.float64)


def labels_on_scale(images: Sequence[LabelledImage], ranges: LabelRanges, scale: Scale) -> NDArray[np.float64]:
    """[B] labels mapped linearly from their dataset's range to ``scale``, higher is better.

    Raises:
        ConfigError: a dataset's range is missing or empty.
    """
    for dataset in sorted({image.dataset for image in images}):
        low, high = ranges.get(dataset, (0.0, 0.0))
        if not low < high:
            raise ConfigError(
                f"mapping labels to {scale.minimum:g}-{scale.maximum:g} needs a label range with low < high for "
                f"dataset {dataset!r}, got {ranges.get(dataset)}; choose a reward.type that only ranks, or more labels"
            )
    extremes = np.array([ranges[image.dataset] for image in images], dtype=np.float64).reshape(-1, 2)
    mos, better = [image.mos for image in images], [image.higher_is_better for image in images]
    return on_scale(mos, extremes[:, 0], extremes[:, 1], better, scale)
