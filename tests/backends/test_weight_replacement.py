import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from vllm_policies import tiny_policy

from ray_iqa.backends.weights.replacement import replacement_folder
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import ConfigError
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.quickstart.tiny_policy import build_tiny_policy

WEIGHTS = "model.safetensors"


def _wanted(running: PolicyConfig, model: Path) -> PolicyConfig:
    return running.model_copy(update={"model": str(model)})


def test_only_other_weights_of_the_same_model_fit(tmp_path: Path) -> None:
    running = tiny_policy(tmp_path / "running", "qwen2_5_vl")
    build_tiny_policy(tmp_path / "other", seed=1)
    build_tiny_policy(tmp_path / "family", "qwen3_vl")
    for name in "torn", "lacking", "language":
        shutil.copytree(tmp_path / "running", tmp_path / name)
    torn, lacking = tmp_path / "torn" / WEIGHTS, tmp_path / "lacking" / WEIGHTS
    torn.write_bytes(torn.read_bytes()[:-1000])
    tensors = load_file(lacking)
    del tensors[max(tensors)]
    save_file(tensors, lacking)
    template = tmp_path / "language" / "chat_template.jinja"
    template.write_text(template.read_text() + "!")

    inputs = PolicyInputs(running)
    assert replacement_folder(running, inputs, _wanted(running, tmp_path / "other")) == tmp_path / "other"
    for name, words in {
        "family": "must have the running model's architecture, architectures differs",
        "torn": "must be a whole safetensors file",
        "lacking": "must hold all weights of its architecture, 1 are missing",
        "language": "tokenizer, image processor and chat template",
        "nowhere": "must be a folder that every replica sees, or a hub name",
    }.items():
        with pytest.raises(ConfigError, match=words):
            replacement_folder(running, inputs, _wanted(running, tmp_path / name))
