from dataclasses import replace

import pytest

from ray_iqa.data.label_maps import found_ranges, on_scale, rescaled, stated_ranges
from ray_iqa.data.rows import ManifestRow
from ray_iqa.errors import DataError
from ray_iqa.types import Scale


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


def test_the_map_is_linear_and_turned_round_where_lower_is_better() -> None:
    # KonIQ's range as DeQA-Score maps it.
    assert on_scale([1.0962, 4.31], 1.0962, 4.31, True).tolist() == [1.0, 5.0]
    assert on_scale([25, 25], 0, 100, [True, False]).tolist() == [2.0, 4.0]
    assert on_scale(25, 0, 100, True, Scale(0.0, 1.0)) == 0.25
    with pytest.raises(DataError, match="1-5 only from a range, got 2 to 2"):
        on_scale(3, 2, 2, True)


def test_the_two_rules_differ_where_labels_do_not_fill_their_scale() -> None:
    plain = [row("d", mos, "lower") for mos in (10, 30, 50)]
    stated = [replace(each, scale_min=0.0, scale_max=100.0) for each in plain]
    assert found_ranges(stated) == found_ranges(plain) == stated_ranges(plain) == {"d": (10, 50)}
    assert stated_ranges(stated) == {"d": (0, 100)}
    assert on_scale(10, *found_ranges(stated)["d"], False) == 5.0
    assert on_scale(10, *stated_ranges(stated)["d"], False) == pytest.approx(4.6)
    half = [replace(plain[0], scale_min=0.0), *plain[1:], row("other", 7, "higher")]
    assert stated_ranges(half) == {"d": (0, 50), "other": (7, 7)}
