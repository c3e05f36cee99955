"""torchvision and transformers import in a fresh process, as vLLM does wherever an engine starts."""

import os
import subprocess
import sys

import pytest
import torch


def run_python(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=os.environ | environment,
    )


WHOLE = """
import sys, torch
assert "torchvision" not in sys.modules  # a bare torch stays light
assert hasattr(torch.ops.torchvision, "nms")
from torchvision_cpu_operators import declare_operators
declare_operators()  # a second time
import transformers
transformers.Qwen2VLImageProcessor
from torchvision.transforms.v2 import functional
print(tuple(functional.resize(torch.zeros(3, 8, 8), [4, 6]).shape))
"""


def test_declared_twice_it_imports_only_when_asked_and_transforms_tensors() -> None:
    done = run_python(WHOLE)
    assert done.stdout.strip() == "(3, 4, 6)", done.stderr[-2000:]


def test_a_cuda_torchvision_beside_a_cpu_torch_needs_the_entry_point() -> None:
    has_native_operators = run_python(
        "import torch, torchvision.extension as e; raise SystemExit(0 if e._has_ops() else 3)"
    ).returncode
    if torch.version.cuda is not None or has_native_operators == 0:
        pytest.skip("torchvision matches torch here")
    done = run_python("import torch, torchvision", TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    assert "torchvision::nms does not exist" in done.stderr
