"""A paper's table from a csv of scores: the labels themselves reach 1.000 everywhere, beside the paper's columns."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from quickstart_runs import run

from ray_iqa.data.datasets.listing import public_dataset
from ray_iqa.data.manifest import write_rows
from ray_iqa.data.rows import ManifestRow
from ray_iqa.evaluation.measure import Measurement
from ray_iqa.evaluation.suites import lay_out, read_suite

pytestmark = [pytest.mark.usefixtures("commands_join"), pytest.mark.timeout(300)]
SUITES = ("visualquality-r1", "rali")


def rows_of(name: str) -> list[ManifestRow]:
    """Sixteen images labelled as that dataset is: its direction, and scenes where it has some."""
    known, rng = public_dataset(name), np.random.default_rng(len(name))
    return [
        ManifestRow(
            dataset=name,
            image_id=str(number),
            path=f"{name}/{number}.png",
            mos=round(float(rng.uniform(*(known.scale or (900, 1800)))), 3),
            direction=known.direction,
            scene_id=f"scene {number % 4}" if known.per_scene else None,
        )
        for number in range(16)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("suite")
    names = dict.fromkeys(
        column.dataset for suite in SUITES for table in read_suite(suite).tables for column in table.columns
    )
    rows = [row for name in names for row in rows_of(name)]
    write_rows(home / "data.csv", rows)
    labels = [(row.dataset, row.image_id, row.mos if row.direction == "higher" else -row.mos) for row in rows]
    with (home / "scores.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("dataset", "image_id", "labels"), *labels])
    words = ["--model", f"csv:{home / 'scores.csv'}:labels", "--data", str(home / "data.csv")]
    job = [sys.executable, "-m", "actors", "eval", *words, "--suite", SUITES[0], "--out", str(home / "out")]
    done = run(job)
    assert done.returncode == 0, done.stderr[-3000:]
    (home / "out" / "stdout").write_text(done.stdout)
    return home / "out"


@pytest.mark.parametrize("suite", SUITES)
def test_labels_reach_one_everywhere_beside_the_papers_columns(suite: str, folder: Path) -> None:
    measurements = [Measurement(**row) for row in json.loads((folder / "results.json").read_text())["results"]]
    for table in lay_out(read_suite(suite), measurements, all_methods=True):
        ours = table.header.index("labels (measured)")
        (gap,) = [place for place, title in enumerate(table.header) if title.startswith("difference to ")]
        theirs = table.header.index(table.header[gap].removeprefix("difference to ") + " (published)")
        assert [row[ours] for row in table.rows] == ["1.000"] * len(table.rows)
        assert {row[gap - 1] for row in table.rows} <= {"1.000", "-"}  # mapped PLCC; means over scenes have none
        assert (gap - ours == 2) == table.title.endswith("PLCC")
        for row in table.rows:
            assert float(row[gap]) == pytest.approx(1 - float(row[theirs]), abs=1e-3)


def test_the_command_prints_and_writes_the_table(folder: Path) -> None:
    shown = (folder / "stdout").read_text()
    for text in (shown, (folder / "results.md").read_text()):
        assert "VisualQuality-R1, table 2: SRCC" in text
        assert "arXiv 2505.14460v2" in text
    (line,) = [line for line in shown.splitlines() if line.strip().startswith("BID ") and ".790" in line]
    assert line.split() == ["BID", "586", "16", "0.790", "1.000", "+0.210"]
    assert "Q-Align (published)" in (folder / "results.tex").read_text()
    scenes = {
        row["dataset"] for row in json.loads((folder / "results.json").read_text())["results"] if row["num_scenes"]
    }
    assert scenes == {"sriqa-bench"}
