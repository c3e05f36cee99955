from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from native_copies import touch_image, write_lines

from ray_iqa.data.checks.labels import check_spread
from ray_iqa.data.datasets import tid2013
from ray_iqa.errors import DataError


def test_case_chaos_is_resolved_and_the_spread_joined_line_by_line(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "mos_with_names.txt",
        "5.51429 I01_01_1.bmp",
        "5.56757 i01_01_2.bmp",
        "3.1 i25_24_5.bmp",
        end="\r\n",
    )
    write_lines(tmp_path / "mos_std.txt", "0.13013", "0.12", "0.2", end="\r\n")
    touch_image(tmp_path / "distorted_images/i01_01_1.bmp")
    touch_image(tmp_path / "distorted_images/I01_01_2.BMP")
    rows = tid2013.DATASET.rows(tmp_path)
    assert [row.mos for row in rows] == [5.51429, 5.56757, 3.1]
    # 5.51429 is 193 / 35 and no other number of votes to 60; the others fit none.
    assert [row.mos_std for row in rows] == pytest.approx([0.13013 * 35**0.5, 0.12 * 38**0.5, 0.2 * 38**0.5])
    assert [Path(row.path).name for row in rows] == ["i01_01_1.bmp", "I01_01_2.BMP", "i25_24_5.bmp"]
    assert [row.image_id for row in rows] == ["I01_01_1.bmp", "I01_01_2.bmp", "I25_24_5.bmp"]
    assert [row.ref_id for row in rows] == ["I01", "I01", "I25"]
    assert (rows[2].distortion, rows[2].level) == ("sparse sampling and reconstruction", 5)
    assert (rows[0].direction, rows[0].scale_min, rows[0].scale_max) == ("higher", 0, 9)


def test_standard_errors_become_deviations_of_the_votes_that_they_tell(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    votes = [np.clip(np.rint(generator.normal(5, 0.8, size=n)), 0, 9) for n in generator.integers(30, 46, size=600)]
    names = [f"I{1 + i // 120:02}_{1 + i // 5 % 24:02}_{1 + i % 5}.bmp" for i in range(600)]
    write_lines(
        tmp_path / "mos_with_names.txt", *(f"{v.mean():.5f} {name}" for v, name in zip(votes, names, strict=True))
    )
    write_lines(tmp_path / "mos_std.txt", *(f"{v.std() / len(v) ** 0.5:.5f}" for v in votes))
    (tmp_path / "distorted_images").mkdir()
    rows = tid2013.DATASET.rows(tmp_path)
    ratios = np.array([row.mos_std / v.std() for row, v in zip(rows, votes, strict=True)])
    assert np.mean(np.abs(ratios - 1) < 1e-3) > 0.95
    assert np.abs(ratios - 1).max() < 0.13  # 38 votes in place of 30
    assert list(check_spread(rows, tid2013.DATASET)) == []
    as_distributed = [replace(row, mos_std=v.std() / len(v) ** 0.5) for row, v in zip(rows, votes, strict=True)]
    [(severity, sentence)] = check_spread(as_distributed, tid2013.DATASET)
    assert severity == "error"
    assert "a standard error of the mean?" in sentence


def test_files_of_different_length_are_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "mos_with_names.txt", "5.5 I01_01_1.bmp", "5.6 I01_01_2.bmp")
    write_lines(tmp_path / "mos_std.txt", "0.1")
    (tmp_path / "distorted_images").mkdir()
    with pytest.raises(DataError, match=r"mos_std.txt must have one value for each of the 2 images .* got 1"):
        tid2013.DATASET.rows(tmp_path)
