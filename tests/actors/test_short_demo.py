"""The demonstration in small: less schooling, fewer pictures, a few dozen steps; test_demo.py runs the whole."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from quickstart_runs import REPOSITORY

from actors.demo import run
from actors.demo_rali import warm_clip
from ray_iqa.errors import ConfigError
from ray_iqa.quickstart.cold_start import cold_start
from ray_iqa.quickstart.synthesise import synthesise
from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.quickstart.vision_warm_up import warm_up

pytestmark = pytest.mark.timeout(2000)


def test_a_few_dozen_steps_teach_a_policy_to_rank_and_a_light_scorer_keeps_it(tmp_path: Path) -> None:
    home = tmp_path / "demo"  # the command goes on from stages that are there
    synthesise(home / "data", num_train=800, num_val=60, num_test=320)
    build_tiny_policy(home / "blank")
    warm_up(home / "blank", home / "data", home / "seeing", num_steps=450)
    cold_start(home / "seeing", home / "data", home / "start", num_steps=130)
    warm_clip(home / "data", home / "clip", seed=0, num_steps=150)
    arguments = ["demo", "--run-dir", str(home), "schedule.num_steps=36", "evaluation.max_images=30"]
    done = subprocess.run(
        [sys.executable, "-m", "actors", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    before, after = (json.loads((home / f"{name}.json").read_text()) for name in ("before", "after"))
    for report in before:
        assert abs(report["srcc"]) <= 0.25  # the bar of 0.2 is for twice as many pictures
    for report in after:
        assert report["srcc"] >= 0.3
        assert report["parse_failure_rate"] <= 0.05
        assert report["score_std"] >= 0.3 * report["mos_std"]
    kept = re.search(r"RALI keeps (\d+) % of its teacher's SRCC", done.stdout)
    assert kept is not None, done.stdout
    assert int(kept[1]) >= 80
    assert f"Report:             {home / 'report.html'}" in done.stdout
    assert 'class="missing"' not in (home / "report.html").read_text()  # every chapter found its input


def test_a_wrong_setting_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'learning_rate'"):
        run(str(tmp_path / "demo"), 0, ["learner.lerning_rate=1"], permute_labels=False)
    assert not (tmp_path / "demo").exists()
