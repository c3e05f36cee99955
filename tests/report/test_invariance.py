from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_folders import prediction

from ray_iqa.evaluation.records import PredictionRow
from ray_iqa.report.invariance import CHANGES, ScorerAtHand, invariance_section


def left_half(pictures: Sequence[Image.Image]) -> list[float | None]:
    """Mean of the left half: white here, black once mirrored."""
    return [float(np.asarray(picture)[:, : picture.width // 2].mean()) for picture in pictures]


def width(pictures: Sequence[Image.Image]) -> list[float | None]:
    return [None if picture.height == 41 else float(picture.width) for picture in pictures]


@pytest.fixture
def rows(tmp_path: Path) -> list[PredictionRow]:
    """Pictures of 40 + i x 30 pixels, white on the left and black on the right, and one that is not there."""
    for number in range(6):
        pixels = np.zeros((30, 40 + 4 * number, 3), dtype=np.uint8)
        pixels[:, : pixels.shape[1] // 2] = 255 - number
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return [prediction("m", number, 1.0, image_path=str(tmp_path / f"{number}.png")) for number in range(7)]


def cells(rows: Sequence[PredictionRow], score: object) -> dict[str, tuple[str, ...]]:
    section = invariance_section(rows, ScorerAtHand(name="s", score=score))  # type: ignore[arg-type]
    return {row[0]: row[1:] for row in section.tables[0].rows}


def test_changes_are_measured_on_the_changed_pictures(rows: list[PredictionRow]) -> None:
    found = cells(rows, left_half)
    assert list(found) == list(CHANGES)
    # 255 - i falls to 0 for i = 0 to 5
    assert found["mirrored"][:2] == ("-252.500", "252.500")
    assert found["mirrored"][4] == "6"
    found = cells(rows, width)
    assert found["mirrored"][:4] == ("+0.000", "0.000", "0.000", "1.000")
    assert found["reduced to 75 %"][0] == "-12.500"  # 40, 44, ... 60 -> 30, 33, ... 45
    assert found["enlarged to 150 %"][0] == "+25.000"


def test_failures_are_left_out_and_counted(rows: list[PredictionRow], tmp_path: Path) -> None:
    Image.new("RGB", (40, 41)).save(tmp_path / "5.png")
    assert cells(rows, width)["mirrored"][4] == "5"


def test_a_picture_that_cannot_be_changed_is_left_out_of_that_change(rows: list[PredictionRow], tmp_path: Path) -> None:
    """WebP has no side above 16,383 pixels."""
    Image.new("RGB", (16_400, 200)).save(tmp_path / "5.png")
    found = cells(rows, width)
    assert found["WebP, quality 95"][4] == "5"
    assert found["mirrored"][4] == found["enlarged to 150 %"][4] == "6"
    section = invariance_section(rows, ScorerAtHand(name="s", score=width))
    assert "on 6 pictures when" in section.lead
    assert section.lead.endswith(f"1 more could not be read, the first: {tmp_path}/6.png: no such image file")


def test_what_is_needed_is_said(rows: list[PredictionRow]) -> None:
    assert "--model" in (invariance_section(rows, None).missing or "")
    lost = [prediction("m", 0, 1.0)]
    assert "can be read here" in (invariance_section(lost, ScorerAtHand(name="s", score=width)).missing or "")
