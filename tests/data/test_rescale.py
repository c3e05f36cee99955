import pytest

from ray_iqa.data.rescale import rescaled
from ray_iqa.data.rows import ManifestRow
from ray_iqa.errors import DataError


def row(dataset: str, mos: float, direction: str) -> ManifestRow:
    return ManifestRow(dataset=dataset, image_id=str(mos), path="a.png", mos=mos, mos_std=5, direction=direction)


def test_every_dataset_fills_one_to_five_upwards_and_takes_its_spread_along() -> None:
    rows = [row("up", mos, "higher") for mos in (10, 20, 50)] + [row("down", mos, "lower") for mos in (0, 1)]
    found = rescaled(rows)
    assert [item.mos for item in found] == pytest.approx([1, 2, 5, 5, 1])
    assert [item.mos_std for item in found] == pytest.approx([0.5] * 3 + [20] * 2)
    assert {(item.direction, item.scale_min, item.scale_max) for item in found} == {("higher", 1, 5)}


def test_equal_labels_are_refused() -> None:
    with pytest.raises(DataError, match=r"labels of dataset 'd' must differ .* all are 3"):
        rescaled([row("d", 3, "higher")] * 2)
