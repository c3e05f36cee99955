"""Curves and histograms of a run whose numbers are known."""

from pathlib import Path

import numpy as np
import pytest
from report_folders import write_run

from ray_iqa.errors import DataError
from ray_iqa.report.drawing import COLOURS
from ray_iqa.report.inputs import read_inputs
from ray_iqa.report.score_histograms import histogram_section
from ray_iqa.report.training_curves import training_section


def test_curves_show_the_logged_numbers_and_a_mean_that_looks_back_only(tmp_path: Path) -> None:
    inputs = read_inputs([write_run(tmp_path / "run", num_steps=40)])
    axes = {place.get_title(): place for place in training_section(inputs.training).drawings[0].figure.get_axes()}
    assert list(axes) == ["validation SRCC, a", "reward"]  # KL has no value in any row
    every_step, mean = axes["reward"].get_lines()
    np.testing.assert_allclose(every_step.get_ydata(), np.arange(1, 41) / 10)
    np.testing.assert_allclose(mean.get_ydata()[:3], [0.1, 0.15, 0.25])  # over two steps, a twentieth of 40
    assert axes["validation SRCC, a"].get_lines()[0].get_xydata().tolist() == [
        [10, 0.25],
        [20, 0.5],
        [30, 0.75],
        [40, 1.0],
    ]


def test_two_runs_are_told_apart_by_colour_and_dash(tmp_path: Path) -> None:
    inputs = read_inputs([write_run(tmp_path / "first"), write_run(tmp_path / "second")])
    figure = training_section(inputs.training).drawings[0].figure
    (validation,) = (place for place in figure.get_axes() if place.get_title().startswith("validation"))
    looks = [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in validation.get_lines()]
    assert looks == [(COLOURS[0], "-", "o"), (COLOURS[1], "--", "s")]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [f"{tmp_path.name}/first", f"{tmp_path.name}/second"]


def test_histograms_show_the_share_of_answers_per_step(tmp_path: Path) -> None:
    inputs = read_inputs([write_run(tmp_path / "run", num_steps=30)])
    axes = histogram_section(inputs.training).drawings[0].figure.get_axes()[0]
    assert axes.get_title().endswith("90 answers, 33.3% of them did not parse")
    shares = np.asarray(axes.collections[0].get_array())  # [score bins, steps]
    assert shares.shape[1] == 30
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    np.testing.assert_allclose(np.sort(shares[:, 10])[-2:], [0.5, 0.5])  # one moves with the step, one stays at 2


def test_a_damaged_file_of_rollouts_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "rollouts" / "step-000031.parquet").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"step-000031\.parquet is not a readable parquet file"):
        histogram_section(read_inputs([run]).training)
