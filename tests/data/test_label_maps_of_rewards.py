import numpy as np
import pytest

from ray_iqa.data.label_maps import found_ranges, labels_on_scale, oriented_mos
from ray_iqa.errors import ConfigError
from ray_iqa.types import SCALE, LabelledImage


def image(dataset: str, mos: float, *, higher_is_better: bool = True) -> LabelledImage:
    return LabelledImage(
        image_id="i", image_path="i", dataset=dataset, mos=mos, mos_std=None, higher_is_better=higher_is_better
    )


IMAGES = [image("mos", 2.0), image("mos", 4.0), image("mos", 3.0)] + [
    image("dmos", mos, higher_is_better=False) for mos in (0.0, 100.0, 25.0)
]


def test_direction_without_re_scaling() -> None:
    assert oriented_mos(IMAGES).tolist() == [2.0, 4.0, 3.0, 0.0, -100.0, -25.0]


def test_ranges_and_the_mapping_to_the_scale_of_scores() -> None:
    ranges = found_ranges(IMAGES)
    assert ranges == {"mos": (2.0, 4.0), "dmos": (0.0, 100.0)}
    np.testing.assert_allclose(labels_on_scale(IMAGES, ranges, SCALE), [1, 5, 3, 5, 1, 4])


@pytest.mark.parametrize("ranges", [{"mos": (2.0, 4.0)}, {"mos": (2.0, 4.0), "dmos": (3.0, 3.0)}])
def test_a_dataset_needs_a_range(ranges: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(ConfigError, match="dataset 'dmos'"):
        labels_on_scale(IMAGES, ranges, SCALE)
