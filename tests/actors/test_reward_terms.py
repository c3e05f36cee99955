"""Rewards and questions of the user's own on the real engines: the worked examples of docs/examples."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from quickstart_runs import REPOSITORY, TWO_STEPS, Start, command, refusal, rows, run

pytestmark = [pytest.mark.usefixtures("commands_join"), pytest.mark.timeout(900)]


def test_a_length_penalty_and_a_second_question(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of a step's images are asked for their quality, half for their degradation."""
    examples = tmp_path / "examples"
    shutil.copytree(REPOSITORY / "docs" / "examples", examples)
    terms = [
        {"term": "fidelity"},
        {"term": "format"},
        {"term": f"{examples}/length_penalty.py:length_penalty", "weight": 0.2},
        {"term": f"{examples}/degradation.py:degradation", "question": "kind"},
        {"term": f"{examples}/length_penalty.py:length_penalty", "question": "kind"},
    ]
    manifest = str(start.manifests[0])
    config = yaml.safe_load((REPOSITORY / "configs" / "train" / "quickstart.yaml").read_text())
    config["data"]["train"] = [manifest, {"manifest": manifest, "question": "kind"}]
    config["policy"]["questions"] = {"kind": f"{examples}/degradation.yaml"}
    config["reward"]["terms"] = terms
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(config))
    job = [word for word in command(start, tmp_path / "run", *TWO_STEPS) if "data.train=" not in word]
    job[job.index("configs/train/quickstart.yaml")] = str(file)
    done = run(job)
    assert done.returncode == 0, done.stderr[-3000:]
    for row in rows(tmp_path / "run")[1:]:
        assert row["reward/fidelity"] > 0
        assert row["reward/kind_degradation"] >= 0
        assert row["reward/length_penalty"] <= 0
    rollouts = pd.read_parquet(tmp_path / "run" / "rollouts")
    asked = rollouts.kind_degradation.notna()
    assert asked.sum() == (~asked).sum() == 2 * 12 * 4 / 2
    assert (rollouts.fidelity.isna() == asked).all()
    tokens = (rollouts.num_tokens - 16).clip(0, 8) / 8
    assert (-tokens[asked]).to_numpy() == pytest.approx(rollouts.kind_length_penalty[asked].to_numpy())
    assert rollouts.parsed[asked].sum() == 0

    (examples / "length_penalty.py").write_text("def length_penalty(step):\n    return 0 * step.num_tokens\n")
    assert "reward.terms (its content is another) cannot change on resume" in refusal(job, capsys)
