"""What a tier may import, seen from outside: every module is imported in a fresh interpreter."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "vllm", "deepspeed", "ray")
MODELS = ("policy", "rali", "quickstart")  # torch and transformers
ENGINES = ("backends",)  # vllm and deepspeed besides

IMPORT_ALL = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def _modules(*folders: str) -> list[str]:
    """Dotted names of all modules of ray_iqa in those sub-packages; without any, of those in no tier above the core."""
    names = []
    for path in sorted((ROOT / "ray_iqa").glob("**/*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        above_core = len(parts) > 2 and parts[1] in (*MODELS, *ENGINES)
        if (parts[1] in folders and len(parts) > 2) if folders else not above_core:
            names.append(".".join(parts).removesuffix(".__init__"))
    return names


def _imported(modules: list[str]) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *modules], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_the_core_needs_no_engine_and_no_tensor_library() -> None:
    modules = _modules()
    assert {
        "ray_iqa.training",
        "ray_iqa.runs.checkpoints",
        "ray_iqa.evaluation.validation",
        "ray_iqa.telemetry.telemetry",
    } <= set(modules)
    assert _imported(modules) & set(HEAVY) == set()


def test_models_need_no_engine() -> None:
    assert _imported(_modules(*MODELS)) & {"vllm", "deepspeed", "ray"} == set()


def test_the_command_line_needs_no_engine_to_answer() -> None:
    assert _imported(["actors.cli", "actors.cli_parser"]) & set(HEAVY) == set()


def test_the_served_application_loads_engines_in_its_replicas_only() -> None:
    assert _imported(["serve_app"]) & set(HEAVY) == {"ray"}


def test_tasks_that_only_decode_need_no_tensor_library() -> None:
    """Ray imports a task's module in every process that runs it."""
    assert _imported(["actors.jobs.batch_score", "actors.jobs.annotation_stages"]) & set(HEAVY) == {"ray"}
