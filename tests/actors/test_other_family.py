"""A family with linear attention takes the plain path through the whole loop: Qwen3.5, on datasets mixed by weight."""

from pathlib import Path

import pandas as pd
import pytest
from quickstart_runs import TWO_STEPS, Start, command, rows, run

from ray_iqa.quickstart.tiny_policy import build_tiny_policy

pytestmark = [pytest.mark.usefixtures("commands_join"), pytest.mark.timeout(900)]


def test_qwen3_5_trains(start: Start, tmp_path: Path) -> None:
    """With random weights no answer has a score, so its length is rewarded; vLLM takes bfloat16 alone on a CPU."""
    (tmp_path / "length.py").write_text(
        "def length(step):\n    return [[len(a) for a in row] for row in step.answers]\n"
    )
    other = Start(policy=build_tiny_policy(tmp_path / "policy", family="qwen3_5"), manifests=start.manifests)
    terms = f"reward.terms=[{{term: '{tmp_path}/length.py:length'}}]"
    mixture = "data.mixture={ladder-a: 1, ladder-b: 2}"
    done = run(command(other, tmp_path / "run", terms, mixture, "policy.dtype=bfloat16", *TWO_STEPS))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "every prompt runs once per completion" in done.stderr
    rollouts = pd.read_parquet(tmp_path / "run" / "rollouts")
    images = rollouts[rollouts.k == 0].groupby(["step", "dataset"]).size().unstack()
    assert images.to_dict("list") == {"ladder-a": [4, 4], "ladder-b": [8, 8]}
    for row in rows(tmp_path / "run")[1:]:
        assert row["policy/logprob_difference_mean"] < 0.05
        assert row["publish/canary_mean_abs"] < 0.05
        assert row["policy/grad_norm"] > 0
