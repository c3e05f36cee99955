"""Runs that go on with another version, in another place, on other ranks, and after their policy was ruined.

``run_of_6f77d31.tar.gz`` holds pictures, a policy of 120,000 weights and a run of two steps (LoRA, ZeRO 2), written by
commit 6f77d31; its third step, by that commit, is in `THIRD`.
"""

import json
import tarfile
from pathlib import Path

import pytest
from quickstart_runs import Start, command, rows, run

pytestmark = [pytest.mark.usefixtures("commands_join"), pytest.mark.timeout(900)]
ARCHIVE = Path(__file__).with_name("run_of_6f77d31.tar.gz")
THIRD = {
    "policy/loss": 0.0011282446794211864,
    "policy/kl": 0.022565755993127823,
    "policy/grad_norm": 0.3594610393047333,
    "reward/mean": 1.2982192412018776,
    "completion/tokens": 355.0,
    "eval/srcc": -0.4,
}


def unpacked(home: Path) -> Path:
    """The run as 6f77d31 would have left it in ``home``."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(home, filter="data")
    resolved = home / "run" / "resolved.json"
    settings = json.loads(resolved.read_text())
    settings["run_dir"] = str(home / "run")
    settings["policy"]["model"] = str(home / "policy")
    for section, key in (("data", "train"), ("evaluation", "manifests")):
        settings[section][key] = [str(home / path) for path in settings[section][key]]
    resolved.write_text(json.dumps(settings))
    return home


def resumed(home: Path, *overrides: str) -> list[str]:
    start = Start(policy=home / "policy", manifests=sorted((home / "data").glob("*/manifest.csv")))
    settings = [
        "evaluation.max_images=4",
        "data.images_per_step=8",
        "schedule.checkpoint_every=2",
        "schedule.evaluate_every=2",
        "learner.zero_stage=2",
        "learner.lora.rank=2",
        "learner.lora.alpha=4",
        "learner.learning_rate=0.01",
        "learner.warmup_steps=0",
    ]
    return command(start, home / "run", *settings, *overrides)


def test_a_run_of_an_older_version_goes_on_as_it_would_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets a W&B run, too, which it had not."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    home = unpacked(tmp_path)
    before = rows(home / "run")
    done = run(resumed(home, "schedule.num_steps=3", "wandb=team/iqa"))
    assert done.returncode == 0, done.stderr[-3000:]
    *same, third = rows(home / "run")
    assert same == before
    assert third["step"] == 3
    assert {name: third[name] for name in THIRD} == pytest.approx(THIRD, rel=1e-4)
    assert (
        "this version has no ['rollout.type', 'reward.advantage', 'learner.type', 'weights.canary_max_abs']"
        in done.stderr
    )
    assert '"key": "ray_iqa", "before": null' in (home / "run" / "changes.jsonl").read_text()
    [shown] = (home / "run" / "wandb").glob("offline-run-*")
    assert shown.name.endswith((home / "run" / "wandb_id").read_text())
    assert len(list((shown / "files" / "media" / "images" / "examples").iterdir())) == 4  # pictures of the third step


@pytest.mark.long
def test_the_remedy_of_a_ruined_policy_is_carried_out_elsewhere_and_on_fewer_ranks(tmp_path: Path) -> None:
    home = unpacked(tmp_path / "here")
    halves = ("cluster.cpus_per_actor=0.5", "schedule.num_steps=12", "schedule.checkpoint_every=1")
    older = run(resumed(home, *halves, "learner.num_ranks=2"))
    assert older.returncode == 1
    assert "must be resumed with learner.num_ranks=1 and learner.zero_stage=2" in older.stderr
    done = run(resumed(home, "schedule.num_steps=4"))
    assert done.returncode == 0, done.stderr[-3000:]

    home = home.rename(tmp_path / "elsewhere")
    two_ranks = (*halves, "learner.num_ranks=2", "learner.zero_stage=3")
    refused = run(resumed(home, *two_ranks, "learner.learning_rate=1e6"))
    assert refused.returncode == 1
    assert "can with --change-learning" in refused.stderr
    for learning_rate, sentence in (("1e6", "5 steps in a row taught the policy nothing"), ("1e30", "not finite")):
        ruined = run(resumed(home, *two_ranks, f"learner.learning_rate={learning_rate}", "--change-learning"))
        assert ruined.returncode == 1
        assert sentence in ruined.stderr
        assert "resume with a lower learner.learning_rate and --change-learning" in ruined.stderr
    done = run(resumed(home, "schedule.num_steps=6", "learner.learning_rate=0.005", "--change-learning"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert [row["step"] for row in rows(home / "run")] == list(range(1, 7))
    assert all(row["policy/skipped"] == 0 for row in rows(home / "run"))
