"""The arithmetic of memory against what the kernel counts, for a policy of 0.5 GB on a CPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ray_iqa.config.load import load_config
from ray_iqa.config.train import TrainConfig
from ray_iqa.runs.memory import PolicySize, disk_space

PROGRAM = Path(__file__).parent / "learner_memory.py"


def _found(folder: Path, hidden: int) -> dict[str, int]:
    folder.mkdir()
    for _ in ("build", "measure"):
        command = [sys.executable, str(PROGRAM), str(folder), str(hidden)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


@pytest.mark.long
def test_computed_memory_is_within_15_percent_of_the_measured_one(tmp_path: Path) -> None:
    small, large = _found(tmp_path / "small", 64), _found(tmp_path / "large", 1024)
    assert 0.5e9 < 4 * large["parameters"] < 0.6e9
    # What torch and DeepSpeed take for themselves is in both.
    measured, computed = (large[name] - small[name] for name in ("measured", "computed"))
    assert computed == pytest.approx(measured, rel=0.15)

    trained = large["parameters"]
    size = PolicySize(
        num_parameters=trained,
        num_trained=trained,
        num_pinned=trained,
        num_layers=8,
        hidden_size=1024,
        num_kv_heads=32,
        head_size=32,
        vocabulary=512,
    )
    config = load_config(TrainConfig, "configs/train/quickstart.yaml", ["schedule.keep_checkpoints=1"])
    assert disk_space(size, config)["checkpoints"] == pytest.approx(3 * large["checkpoint"], rel=0.01)
