"""torchvision, transformers and vLLM import in fresh processes; a bare `import torch` stays light."""

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


@pytest.mark.parametrize(
    "imports",
    ["import torch, torchvision, transformers; transformers.Qwen2VLImageProcessor", "import vllm; vllm.LLM"],
)
def test_engines_import(imports: str) -> None:
    done = run_python(imports)
    assert done.returncode == 0, done.stderr[-2000:]


def test_transforms_work_on_tensors() -> None:
    done = run_python(
        "import torch\nfrom torchvision.transforms.v2 import functional\n"
        "print(tuple(functional.resize(torch.zeros(3, 8, 8), [4, 6]).shape))"
    )
    assert done.stdout.strip() == "(3, 4, 6)", done.stderr[-2000:]


def test_import_torch_does_not_import_torchvision() -> None:
    done = run_python("import sys, torch; print('torchvision' in sys.modules, hasattr(torch.ops.torchvision, 'nms'))")
    assert done.stdout.split() == ["False", "True"], done.stderr[-2000:]


def test_declaring_twice_is_harmless() -> None:
    done = run_python(
        "from ray_iqa.backends.torchvision_cpu import declare_operators\ndeclare_operators()\nimport torchvision"
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_cuda_torchvision_beside_a_cpu_torch_needs_the_entry_point() -> None:
    has_native_operators = run_python(
        "import torch, torchvision.extension as e; raise SystemExit(0 if e._has_ops() else 3)"
    ).returncode
    if torch.version.cuda is not None or has_native_operators == 0:
        pytest.skip("torchvision matches torch here")
    done = run_python("import torch, torchvision", TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    assert "torchvision::nms does not exist" in done.stderr
