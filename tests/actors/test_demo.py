"""The demonstration as people run it, three seeds and their controls; about an hour on two cores."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
from quickstart_runs import REPOSITORY

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]
SEEDS = (0, 1, 2)


def demo(run_dir: Path, seed: int, *options: str) -> dict[str, list[dict[str, float]]]:
    """Reports per dataset before and after reinforcement learning."""
    arguments = [sys.executable, "-m", "actors", "demo", "--run-dir", str(run_dir), "--seed", str(seed), *options]
    done = subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: json.loads((run_dir / f"{name}.json").read_text()) for name in ("before", "after")}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_policy_that_knows_nothing_of_quality_learns_to_rank_unseen_contents(tmp_path: Path, seed: int) -> None:
    reports = demo(tmp_path / "demo", seed)
    assert sum(report["num_images"] for report in reports["after"]) >= 600
    for before, after in zip(reports["before"], reports["after"], strict=True):
        assert abs(before["srcc"]) <= 0.2
        assert after["srcc"] >= 0.7
        assert after["parse_failure_rate"] <= 0.03
        assert after["score_std"] >= 0.5 * after["mos_std"]


def test_permuted_labels_teach_nothing(tmp_path: Path) -> None:
    after = [demo(tmp_path / str(seed), seed, "--permute-labels")["after"] for seed in SEEDS]
    for dataset in range(2):
        assert median(abs(reports[dataset]["srcc"]) for reports in after) <= 0.2
