"""`ray-iqa sft` on real learner ranks: questions of the rows are learnt with LoRA, and nothing else moves."""

import json
import sys
from pathlib import Path

import pytest
from quickstart_runs import REPOSITORY, Start, refusal, rows, run
from transformers import AutoModelForImageTextToText

from ray_iqa.data.manifest import load_manifest

pytestmark = [pytest.mark.usefixtures("commands_join"), pytest.mark.timeout(900)]


def command(start: Start, chats: Path, run_dir: Path, *overrides: str) -> list[str]:
    settings = [
        f"run_dir={run_dir}",
        f"policy.model={start.policy}",
        "policy.dtype=float32",
        f"chats=[{chats}]",
        "learner.lora={rank: 8, alpha: 16}",
        "learner.learning_rate=1e-2",
        "learner.warmup_steps=0",
        "learner.num_threads=1",
        "schedule.images_per_step=16",
        "schedule.epochs=2",
        "cluster.device=cpu",
    ]
    config = str(REPOSITORY / "configs" / "sft" / "chats.yaml")
    return [sys.executable, "-m", "actors", "sft", "--config", config, *settings, *overrides]


@pytest.fixture(scope="module")
def chats(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two questions about the same pictures."""
    file = tmp_path_factory.mktemp("chats") / "train.jsonl"
    images = load_manifest(start.manifests[0], "train")[:32]
    lines = []
    for number, image in enumerate(images):
        question, answer = ("Is it sharp?", "yes") if number % 2 else ("Name the noise.", f"about {image.mos:.1f}")
        messages = [{"role": "user", "content": f"<image>{question}"}, {"role": "assistant", "content": answer}]
        lines.append(json.dumps({"messages": messages, "images": [image.image_path]}))
    file.write_text("\n".join(lines))
    return file


def test_the_loss_falls_over_a_resume_and_adapters_are_exported_beside_the_merged_policy(
    start: Start, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    for settings in (("schedule.epochs=1",), ()):
        done = run(command(start, chats, tmp_path, "wandb=iqa", *settings))
        assert done.returncode == 0, done.stderr[-3000:]
    losses = [row["policy/cross_entropy"] for row in rows(tmp_path)]
    assert len(losses) == 4
    assert losses[-1] < 0.8 * losses[0]
    run_id = (tmp_path / "wandb_id").read_text()
    assert len(list(tmp_path.glob(f"wandb/offline-run-*-{run_id}/run-{run_id}.wandb"))) == 2  # one curve in two parts
    assert (tmp_path / "policy" / "adapter" / "adapter_model.safetensors").is_file()
    AutoModelForImageTextToText.from_pretrained(tmp_path / "policy")
    assert json.loads((tmp_path / "resolved.json").read_text())["chats"] == [str(chats)]


def test_what_cannot_work_is_one_sentence(
    start: Start, chats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no table at" in refusal(command(start, Path("nowhere.jsonl"), tmp_path), capsys)
    special = tmp_path / "special.jsonl"
    special.write_text(chats.read_text().replace('"yes"', '"yes<|im_end|>"'))
    assert "must not hold the special token <|im_end|>" in refusal(command(start, special, tmp_path / "r"), capsys)
    said = refusal(command(start, chats, tmp_path / "r", "learner.warmup_steps=5"), capsys)
    assert "learner.warmup_steps must be at most the run's 4 updates, got 5" in said
    assert "learner.kl_coef must be 0" in refusal(command(start, chats, tmp_path / "r", "learner.kl_coef=1"), capsys)
