from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from native_copies import touch_image, write_lines
from numpy.typing import NDArray

from ray_iqa.data.datasets import kadid10k
from ray_iqa.errors import DataError

HEADER = "dist_img,ref_img,dmos,var"


def copy_with(root: Path, *lines: str) -> None:
    write_lines(root / "dmos.csv", HEADER, *lines)
    touch_image(root / "images/I01_01_01.png")


def test_higher_is_better_in_spite_of_the_name_and_the_variance_gets_its_root(tmp_path: Path) -> None:
    copy_with(tmp_path, "I01_01_01.png,I01.png,4.57,0.496", "I81_25_05.png,I81.png,1.93,0.64")
    first, last = kadid10k.DATASET.rows(tmp_path)
    assert (first.mos, first.direction, first.scale_min, first.scale_max) == (4.57, "higher", 1, 5)
    assert first.mos_std == pytest.approx(0.704, abs=5e-4)
    assert (first.ref_id, first.distortion, first.level) == ("I01", "gaussian blur", 1)
    assert (last.ref_id, last.distortion, last.level, last.mos_std) == ("I81", "contrast change", 5, pytest.approx(0.8))
    assert first.path == str(tmp_path / "images/I01_01_01.png")


def copy_of_votes(root: Path, column_of: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
    """40 images with 30 votes each, and a fourth column made of the votes; the votes [40, 30]."""
    rng = np.random.default_rng(0)
    votes = np.clip(np.rint(rng.normal(rng.uniform(1, 5, size=(40, 1)), 0.7, size=(40, 30))), 1, 5)
    names = [f"I01_{index % 25 + 1:02d}_{index // 25 + 1:02d}.png" for index in range(40)]
    rows = zip(names, votes.mean(axis=1), column_of(votes), strict=True)
    copy_with(root, *(f"{name},I01.png,{mean:.2f},{number:.3f}" for name, mean, number in rows))
    return votes


@pytest.mark.parametrize("column_of", [lambda votes: votes.var(axis=1), lambda votes: votes.std(axis=1)])
def test_the_spread_is_that_of_the_votes_whether_the_file_holds_variances_or_deviations(
    column_of: Callable[[NDArray[np.float64]], NDArray[np.float64]], tmp_path: Path
) -> None:
    votes = copy_of_votes(tmp_path, column_of)
    assert [row.mos_std for row in kadid10k.DATASET.rows(tmp_path)] == pytest.approx(votes.std(axis=1), abs=0.01)


def test_numbers_that_prove_nothing_are_the_variances_the_header_says(tmp_path: Path) -> None:
    numbers = np.random.default_rng(1).uniform(0.3, 1.2, size=40).round(3)
    copy_of_votes(tmp_path, lambda _: numbers)
    assert [row.mos_std for row in kadid10k.DATASET.rows(tmp_path)] == pytest.approx(np.sqrt(numbers))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("I01_26_01.png,I01.png,4.5,0.5", "line 2: must name one of 25 distortions and a level"),
        ("I01.png,I01.png,4.5,0.5", "line 2: a file name must have 3 parts"),
        ("I01_01_01.png,I01.png,4.5,", "line 2: var must not be empty"),
        ("I01_01_01.png,I01.png,x,0.5", "line 2: dmos must be a number, got 'x'"),
    ],
)
def test_broken_lines_are_named(line: str, sentence: str, tmp_path: Path) -> None:
    copy_with(tmp_path, line)
    with pytest.raises(DataError, match=sentence):
        kadid10k.DATASET.rows(tmp_path)
