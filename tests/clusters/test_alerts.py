"""The alert rules: series that a run exports, pages of the runbook, and Prometheus' own check of both files."""

import re
import shutil
import subprocess

import pytest
from autoscaler_plan import CLUSTERS, REPOSITORY, read

from actors.training.dashboard_metrics import _GAUGES

FOLDER = CLUSTERS / "prometheus"
RULES = read(FOLDER / "alerts.yaml")["groups"][0]["rules"]


def test_rules_name_series_that_a_run_exports() -> None:
    exported = {f"ray_{name}" for name, _ in _GAUGES.values()} | {"ray_iqa_step", "ray_iqa_run_dir_free_bytes"}
    named = set(re.findall(r"ray_iqa_\w+", " ".join(rule["expr"] for rule in RULES)))
    assert len(RULES) == len(named) == 4
    assert named <= exported
    page = (REPOSITORY / "docs/jobs.md").read_text()
    assert [name for name in exported if f"`{name}`" not in page] == []


def test_every_rule_has_its_part_of_the_runbook() -> None:
    titles = re.findall(r"^## (.*)$", (REPOSITORY / "docs/runbook.md").read_text(), re.M)
    parts = {"docs/runbook.md#" + title.lower().replace(" ", "-") for title in titles}
    assert {rule["annotations"]["runbook"] for rule in RULES} <= parts
    assert len(parts) >= 10


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool comes with Prometheus")
@pytest.mark.parametrize(
    "words", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")], ids=" ".join
)
def test_prometheus_takes_the_rules(words: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
