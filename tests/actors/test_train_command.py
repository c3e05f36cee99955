"""`ray-iqa train` on the real engines: it finishes, resumes exactly, stops when asked."""

import json
import re
import shutil
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest
from quickstart_runs import Start, await_step, command, last_step, refusal, rows, run, stop_after
from safetensors.torch import load_file
from signalled import Signalled
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForImageTextToText, AutoProcessor

from actors.cli import main
from actors.training.learner import is_complete
from ray_iqa.policy.exported_version import write_policy_version
from ray_iqa.runs.checkpoints import CheckpointStore
from ray_iqa.types import Progress

pytestmark = [pytest.mark.usefixtures("commands_join"), pytest.mark.timeout(900)]
LONG = pytest.mark.long
CURVES = {
    "reward/fidelity",
    "reward/format",
    "reward/parse_rate",
    "group/zero_advantage_fraction",
    "group/score_std",
    "policy/kl",
    "policy/entropy",
    "policy/grad_norm",
    "policy/clip_fraction_low",
    "policy/clip_fraction_high",
    "policy/staleness",
    "completion/length_mean",
    "time/rollout",
    "time/reward",
    "time/learn",
    "time/publish",
    "throughput/tokens_per_s",
    "eval/srcc",
}


def test_a_run_leaves_metrics_rollouts_curves_checkpoints_and_a_policy(undisturbed: Path) -> None:
    start, *log = rows(undisturbed)
    assert start.keys() == {"step", *(name for name in log[3] if name.startswith("eval/"))}  # before any update
    assert [row["step"] for row in log] == list(range(1, 9))
    assert all(row["policy/staleness"] == 0 for row in log)
    assert all(row["policy/logprob_difference_mean"] < 1e-3 for row in log)
    assert all(row["policy/logprob_difference_max"] < 1e-2 for row in log)
    assert all(row["publish/canary_max_abs"] < 1e-2 for row in log)
    assert "eval/srcc" in log[3]
    assert "eval/srcc" in log[7]

    rollouts = pd.read_parquet(undisturbed / "rollouts")
    assert len(rollouts) == 8 * 12 * 4
    assert rollouts.groupby(["step", "dataset", "image_id"]).size().eq(4).all()
    assert rollouts.dataset.nunique() == 2

    curves = EventAccumulator(str(undisturbed / "tensorboard")).Reload()
    assert [point.step for point in curves.Scalars("reward/fidelity")] == list(range(1, 9))
    assert set(curves.Tags()["scalars"]) >= CURVES

    steps = sorted(folder.name for folder in (undisturbed / "checkpoints").iterdir())
    assert steps[-1] == "step-000008"

    AutoProcessor.from_pretrained(undisturbed / "policy")
    AutoModelForImageTextToText.from_pretrained(undisturbed / "policy")
    told = json.loads((undisturbed / "policy" / "policy_version.json").read_text())
    assert (told["step"], told["policy_version"]) == (8, 8)


def test_the_best_policy_and_that_of_a_checkpoint_can_be_had(
    undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    validated = {int(row["step"]): row["eval/srcc"] for row in rows(undisturbed) if "eval/srcc" in row}
    assert list(validated) == [0, 4, 8]
    best = max(validated, key=lambda step: (validated[step], -step))
    export = ["export", str(undisturbed), "--out", str(tmp_path / "best"), "--step", "best"]
    if best == 0:
        assert main(export) == 1
        assert "no validation of this run was better" in capsys.readouterr().err
    else:
        assert main(export) == 0
        told = json.loads((tmp_path / "best" / "policy_version.json").read_text())
        assert (told["step"], told["best_srcc"]) == (best, validated[best])
        AutoModelForImageTextToText.from_pretrained(tmp_path / "best")

    assert main(["export", str(undisturbed), "--step", "7"]) == 1
    assert "or a checkpoint that" in capsys.readouterr().err
    done = run(
        [sys.executable, "-m", "actors", "export", str(undisturbed), "--step", "8", "--out", str(tmp_path / "8")]
    )
    assert done.returncode == 0, done.stderr[-3000:]
    exported, last = (load_file(folder / "model.safetensors") for folder in (tmp_path / "8", undisturbed / "policy"))
    assert exported.keys() == last.keys()
    assert all(exported[name].equal(last[name]) for name in last)


def test_a_run_that_learns_nothing_fails_and_its_remedy_works(start: Start, tmp_path: Path) -> None:
    job = command(
        start, tmp_path / "run", "policy.prompt=non-thinking", "rollout.max_tokens=4"
    )  # it thinks all the same
    done = run(job)
    assert done.returncode == 1
    assert "Exported" not in done.stdout
    *_, first, said = [line for line in done.stderr.splitlines() if "taught the policy nothing" in line]
    found = re.search(
        r"step 1 taught the policy nothing: (\d+) of 48 answers were cut off at rollout.max_tokens", first
    )
    assert found
    assert int(found[1]) > 24  # the rest ended early, without an answer
    assert "5 steps in a row taught the policy nothing, the last is 5" in said
    assert "start anew, in another run_dir, with a larger rollout.max_tokens" in said
    assert not (tmp_path / "run" / "policy").exists()
    assert last_step(tmp_path / "run") == 5
    assert {row["policy/skipped"] for row in rows(tmp_path / "run")[1:]} == {1}
    done = run(
        command(start, tmp_path / "anew", "rollout.max_tokens=64", "schedule.num_steps=1", "learner.warmup_steps=0")
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("number", "step", "code"), [(signal.SIGTERM, 2, 143), pytest.param(signal.SIGKILL, 5, -9, marks=LONG)]
)
def test_a_stopped_run_resumes_and_repeats_the_undisturbed_one(
    start: Start, undisturbed: Path, tmp_path: Path, number: signal.Signals, step: int, code: int
) -> None:
    """All of its group gets the signal, its cluster lives on; what is left are checkpoints at their URI."""
    run_dir, remote = tmp_path / "run", tmp_path / "remote"
    job = command(start, run_dir, f"schedule.checkpoint_uri=file://{remote}")
    driver = Signalled(job)
    await_step(driver.process, run_dir, step)
    driver.send(number)
    assert driver.end(within_s=60) == code
    stopped_at = last_step(run_dir)
    if number == signal.SIGTERM:  # the step in hand is finished and kept
        assert f"finishing step {stopped_at}, then saving; again: stop now" in driver.said
        assert f"saved step {stopped_at} of 8; the same command resumes" in driver.said
        assert (remote / "checkpoints" / f"step-{stopped_at:06d}" / "state.json").is_file()
    shutil.rmtree(run_dir)
    done = run(job)
    assert done.returncode == 0, done.stderr[-3000:]
    assert number == signal.SIGKILL or f"resumed after step {stopped_at} of 8" in done.stderr
    again = run(job)
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == f"already complete at step 8 of 8: policy in file://{remote}/policy\n"
    assert rows(run_dir) == rows(undisturbed)
    pd.testing.assert_frame_equal(
        pd.read_parquet(run_dir / "rollouts"), pd.read_parquet(undisturbed / "rollouts"), check_exact=True
    )
    points = EventAccumulator(str(run_dir / "tensorboard")).Reload().Scalars("reward/fidelity")
    assert [point.step for point in points] == list(range(1, 9))
    assert not (run_dir / "checkpoints").exists()
    assert (remote / "checkpoints" / "step-000008" / "state.json").is_file()
    AutoModelForImageTextToText.from_pretrained(remote / "policy")


def test_a_run_is_complete_when_its_last_step_is_exported(
    undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, policy = CheckpointStore(str(undisturbed), 2), str(undisturbed / "policy")
    assert is_complete(store, 8, policy)
    assert capsys.readouterr().err == f"already complete at step 8 of 8: policy in {policy}\n"
    write_policy_version(tmp_path, Progress(step=7, policy_version=7))
    assert not is_complete(store, 9, policy)
    assert not is_complete(store, 8, str(tmp_path))
    assert not is_complete(store, 8, str(tmp_path / "nowhere"))
    assert not is_complete(CheckpointStore(str(tmp_path), 2), 8, policy)


def test_two_ranks_learn_what_one_does_while_the_next_step_is_sampled(
    start: Start, undisturbed: Path, tmp_path: Path
) -> None:
    settings = ("cluster.cpus_per_actor=0.5", "learner.num_ranks=2", "rollout.max_staleness=1", "schedule.num_steps=3")
    done = run(command(start, tmp_path / "run", *settings, "learner.warmup_steps=3"))
    assert done.returncode == 0, done.stderr[-3000:]
    (_, *found), (_, *expected) = rows(tmp_path / "run"), rows(undisturbed)
    assert [row["policy/staleness"] for row in found] == [0, 1, 1]
    assert found[0]["reward/mean"] == pytest.approx(expected[0]["reward/mean"], abs=1e-6)
    assert found[0]["policy/grad_norm"] == pytest.approx(expected[0]["policy/grad_norm"], rel=1e-4)
    assert all(row["publish/canary_max_abs"] < 1e-2 for row in found)


@pytest.mark.long
def test_workers_and_prefetch_change_nothing_they_should_not(start: Start, undisturbed: Path, tmp_path: Path) -> None:
    halves = ("cluster.cpus_per_actor=0.5", "rollout.min_workers=2", "learner.num_ranks=2")
    done = run(command(start, tmp_path / "two", *halves))
    assert done.returncode == 0, done.stderr[-3000:]
    for two, one in zip(rows(tmp_path / "two")[1:3], rows(undisturbed)[1:3], strict=True):
        assert two["reward/mean"] == pytest.approx(one["reward/mean"], abs=1e-6)
        assert two["policy/grad_norm"] == pytest.approx(one["policy/grad_norm"], rel=1e-4)

    prefetched = command(start, tmp_path / "ahead", "rollout.max_staleness=1")
    assert run(prefetched).returncode == 0
    assert [row["policy/staleness"] for row in rows(tmp_path / "ahead")[1:]] == [0, 1, 1, 0, 1, 1, 0, 1]
    again = command(start, tmp_path / "again", "rollout.max_staleness=1")
    assert stop_after(again, tmp_path / "again", 5, signal.SIGKILL) == -9
    assert run(again).returncode == 0
    assert rows(tmp_path / "again") == rows(tmp_path / "ahead")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("learner.lerning_rate=1", "unknown key 'learner.lerning_rate', did you mean 'learning_rate'?"),
        ("data.train=[nowhere.csv]", "no 'nowhere.csv' in the working directory"),
        ("policy.model=./nowhere", "found no config.json in './nowhere'"),
        ("policy.prompt=thinkng", "did you mean 'thinking'"),
        ("data.images_per_step=100000", "data.images_per_step"),
        (
            "rollout.max_model_len=50",
            "tokens and an answer of rollout.max_tokens 24 must fit into rollout.max_model_len",
        ),
    ],
)
def test_what_cannot_work_is_one_sentence_before_anything_starts(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, sentence: str
) -> None:
    assert sentence in refusal(command(start, tmp_path / "run", override), capsys)
    assert not (tmp_path / "run").exists()


def test_a_cluster_without_the_asked_gpus_is_one_sentence(start: Start, tmp_path: Path) -> None:
    done = run(command(start, tmp_path / "run", "cluster.device=cuda"))
    assert done.returncode == 1
    assert "the run needs 2 GPU, the cluster has 0" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_missing_picture_and_a_bad_row_are_named(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = start.manifests[0].read_text().splitlines()
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join([lines[0], *lines[1:20]]))  # relative paths now lead nowhere
    said = refusal(command(start, tmp_path, f"data.train=[{manifest}]"), capsys)
    assert f"19 of 35 pictures cannot be used: {tmp_path}" in said
    assert "no such image file" in said
    header = lines[0].split(",")
    broken = lines[3].split(",")
    broken[header.index("mos")] = "n/a"
    manifest.write_text("\n".join([*lines[:3], ",".join(broken), *lines[4:20]]))
    said = refusal(command(start, tmp_path, f"data.train=[{manifest}]"), capsys)
    assert f"{manifest.name} line 4: mos must be a number, got 'n/a'" in said


def test_help_needs_no_engine() -> None:
    heavy = {"ray", "torch", "vllm", "transformers", "numpy"}
    script = f"import sys, actors.cli_parser; print(sorted({heavy} & set(sys.modules)))"
    done = run([sys.executable, "-c", script])
    assert done.stdout.strip() == "[]"
