"""The authors' own label files, where the environment variable IQA_LABELS names a folder of them."""

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ray_iqa.data.checks.check import check_rows
from ray_iqa.data.convert import Interpretation, read_source
from ray_iqa.data.votes import num_votes_behind

LABELS = Path(os.environ.get("IQA_LABELS", "absent"))
pytestmark = pytest.mark.skipif(not LABELS.is_dir(), reason="IQA_LABELS names no folder of label files")


@pytest.mark.parametrize(
    ("kind", "folder", "images", "splits"),
    [
        ("tid2013", "tid2013", "distorted_images", {None: 3000}),
        ("agiqa-1k", "agiqa1k", "images", {None: 1078}),
        ("bid", "bid", "images", {None: 586}),
        ("koniq10k", "koniq10k", "1024x768", {"train": 7058, "val": 1000, "test": 2015}),
    ],
)
def test_folders_as_distributed(
    kind: str, folder: str, images: str, splits: dict[str | None, int], tmp_path: Path
) -> None:
    shutil.copytree(LABELS / folder, tmp_path / folder)
    (tmp_path / folder / images).mkdir()
    rows = read_source(kind, tmp_path / folder, Interpretation())
    assert Counter(row.split for row in rows) == splits
    assert [f for f in check_rows(rows, open_images=False) if f.severity == "error"] == []
    if kind == "koniq10k":
        assert (min(row.mos for row in rows), max(row.mos for row in rows)) == pytest.approx((1.0962, 4.31), abs=1e-4)
    if kind == "tid2013":
        mos, std = np.array([(row.mos, row.mos_std) for row in rows], dtype=np.float64).T
        errors = np.loadtxt(LABELS / "tid2013/mos_std.txt")
        num_votes = num_votes_behind(mos, errors, digits=5)
        assert (num_votes > 0).sum() == 2949
        assert np.median(num_votes[num_votes > 0]) == 38
        assert np.median(std[errors > 0] / errors[errors > 0]) == pytest.approx(38**0.5, abs=1e-3)
    if kind == "bid":
        assert all(row.mos_std is not None for row in rows)
        assert np.median([row.mos_std for row in rows]) == pytest.approx(0.78, abs=0.2)


@pytest.mark.parametrize(
    ("name", "dataset", "count"),
    [
        ("q_align/csiq.json", "csiq", 750),
        ("q_align/live.json", "live", 982),
        ("q_align/test_kadid.json", "kadid10k", 2000),
    ],
)
def test_lists_of_q_align(name: str, dataset: str, count: int) -> None:
    assert len(read_source("q-align", LABELS / name, Interpretation(dataset=dataset))) == count


def test_a_list_of_flive_as_a_table() -> None:
    told = Interpretation(dataset="flive", columns={"path": "name_image", "mos": "mos_image"})
    assert len(read_source("table", LABELS / "flive/labels640.csv", told)) == 1827
