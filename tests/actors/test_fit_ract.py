"""`ray-iqa fit-ract` on real learner ranks: what moves, what falls, what is left behind, and what a stop changes."""

import signal
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from quickstart_runs import Start, refusal, rows, run, stop_after
from safetensors.torch import load_file
from taught_records import taught_records
from transformers import AutoModelForImageTextToText, AutoProcessor

from ray_iqa.policy.exported_version import read_policy_version
from ray_iqa.rali.annotations.records import records_to_table

pytestmark = [pytest.mark.usefixtures("commands_join"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def texts(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("texts") / "texts.parquet"
    pq.write_table(records_to_table(taught_records(start)), file)
    return file


def command(start: Start, texts: Path, run_dir: Path, *overrides: str) -> list[str]:
    """One epoch of 300 pictures in two data sets, 30 per step."""
    settings = [
        f"run_dir={run_dir}",
        f"policy.model={start.policy}",
        "policy.dtype=float32",
        f"texts.annotations=[{texts}]",
        "texts.scored_dataset=ladder-a",
        "learner.num_ranks=1",
        "learner.zero_stage=2",
        "learner.learning_rate=1e-3",
        "learner.warmup_steps=0",
        "learner.num_threads=1",
        "schedule.images_per_step=30",
        "schedule.checkpoint_every=4",
        "cluster.device=cpu",
        "cluster.cpus_per_actor=0.5",
    ]
    config = "configs/rali/ract.yaml"
    return [sys.executable, "-m", "actors", "fit-ract", "--config", config, *settings, *overrides]


@pytest.fixture(scope="module")
def undisturbed(start: Start, texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("undisturbed")
    done = run(command(start, texts, run_dir))
    assert done.returncode == 0, done.stderr[-3000:]
    return run_dir


def test_the_loss_falls_and_only_the_vision_tower_moves(start: Start, undisturbed: Path) -> None:
    losses = [row["policy/cross_entropy"] for row in rows(undisturbed)]
    assert len(losses) == 10
    assert sum(losses[-3:]) < 0.95 * sum(losses[:3])

    before, after = (load_file(folder / "model.safetensors") for folder in (start.policy, undisturbed / "policy"))
    assert before.keys() == after.keys()
    moved = {name for name in before if not before[name].equal(after[name])}
    assert moved == {name for name in before if "visual." in name}


def test_the_exported_policy_loads_and_tells_its_version(undisturbed: Path) -> None:
    assert read_policy_version(str(undisturbed / "policy")) == 10
    AutoProcessor.from_pretrained(undisturbed / "policy")
    AutoModelForImageTextToText.from_pretrained(undisturbed / "policy")


@pytest.mark.long
def test_a_stopped_fit_resumes_exactly(start: Start, texts: Path, undisturbed: Path, tmp_path: Path) -> None:
    assert stop_after(command(start, texts, tmp_path), tmp_path, 5, signal.SIGTERM) == 143
    done = run(command(start, texts, tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    assert rows(tmp_path) == rows(undisturbed)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("policy.prompt=non-thinking", "must ask for reasoning"),
        ("texts.scored_dataset=koniq-10k", "got 'koniq-10k', found ladder-a, ladder-b"),
        ("texts.annotations=[nowhere]", "found none at"),
        ("learner.kl_coef=0.1", "learner.kl_coef must be 0"),
    ],
)
def test_what_cannot_work_is_one_sentence(
    start: Start, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, sentence: str
) -> None:
    assert sentence in refusal(command(start, texts, tmp_path, override), capsys)
