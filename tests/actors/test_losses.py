"""Losses by name on the real engines; their formulas are tested in tests/policy/test_loss.py."""

from pathlib import Path

import pandas as pd
import pytest
from quickstart_runs import Start, command, refusal, rows, run

pytestmark = [pytest.mark.usefixtures("commands_join"), pytest.mark.timeout(900)]


def test_dapo_samples_again_what_has_no_advantage_and_leaves_the_rest_out(start: Start, tmp_path: Path) -> None:
    """Two answers of few words about a picture are often the same; the policy has adapters beside its base."""
    settings = ("rollout.num_completions=2", "rollout.top_k=2", "schedule.num_steps=2", "learner.loss=dapo")
    more = (
        "learner.warmup_steps=4",
        "learner.updates_per_batch=2",
        "learner.max_redraws=2",
        "learner.lora={rank: 6, alpha: 12}",
    )
    done = run(command(start, tmp_path, *settings, *more))
    assert done.returncode == 0, done.stderr[-3000:]
    log = rows(tmp_path)[1:]
    rollouts = pd.read_parquet(tmp_path / "rollouts")
    assert rollouts.groupby(["step", "dataset", "image_id"]).size().eq(2).all()
    for row in log:
        advantages = rollouts[rollouts.step == row["step"]].groupby(["dataset", "image_id"]).advantage.max()
        without = int((advantages == 0).sum())
        assert row["group/zero_advantage_fraction"] == pytest.approx(without / 12)
        assert 2 * without <= row["group/redrawn"] <= 24  # each attempt left at least those
        assert row["policy/ratio_mean"] != 1.0
        assert row["policy/logprob_difference_max"] < 1e-3
        assert row["publish/canary_max_abs"] < 1e-3
    assert sum(row["group/redrawn"] for row in log) > 0


def test_what_would_train_another_policy_than_is_sampled_is_refused(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(command(start, tmp_path, "rollout.temperature=0.7"), capsys)
    assert "rollout.temperature must be 1 in training" in said
    said = refusal(command(start, tmp_path, "learner.max_redraws=1", "rollout.max_staleness=1"), capsys)
    assert "learner.max_redraws needs rollout.max_staleness 0" in said
    said = refusal(command(start, tmp_path, "learner.updates_per_batch=3", "learner.passes_per_batch=2"), capsys)
    assert "passes_per_batch must divide updates_per_batch, got 2 and 3" in said
    said = refusal(command(start, tmp_path, "reward.advantage=dr_grpo"), capsys)
    assert "advantage is learner.loss now" in said
