"""A command whose extra is not installed says in one sentence what to install; a fresh interpreter without them all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from actors.commands.failures import EXTRAS

CORE = """
import contextlib, io, json, sys, traceback
from importlib.abc import MetaPathFinder
ABSENT = set(sys.argv[1].split()) or {
    "ray", "torch", "torchvision", "vllm", "deepspeed", "transformers", "peft", "open_clip", "safetensors", "rich",
    "tensorboardX", "tensorboard", "matplotlib", "jinja2", "fsspec", "s3fs", "skimage", "sklearn", "onnx",
    "python_calamine", "onnxscript", "fastapi", "fastapi_offline", "prometheus_client", "multipart", "httpx",
    "tenacity", "pandas", "pillow_heif",
}
class Core(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT or name in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Core())
from actors.cli import main
for words in json.loads(sys.argv[2]):
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(words)
        except BaseException:
            code = traceback.print_exc() or -1
    print(json.dumps([code, said.getvalue()]))
"""
TRAIN = ["--config", "configs/train/quickstart.yaml"]
COMMANDS = {
    "train": TRAIN,
    "export": ["{folder}", "--step", "best"],
    "doctor": TRAIN,
    "demo": ["--run-dir", "{folder}/demo"],
    "submit": ["name", "--", "train", *TRAIN],
    "eval": ["--model", "csv:{folder}/a.csv:mos", "--data", "{folder}/a.csv", "--out", "{folder}/out"],
    "annotate": ["--config", "configs/rali/annotate_small.yaml"],
    "fit-rali": ["--config", "configs/rali/fit_small.yaml"],
    "fit-ract": ["--config", "configs/rali/ract.yaml"],
    "sft": ["--config", "configs/sft/chats.yaml"],
    "batch-score": ["--config", "configs/rali/batch_score.yaml"],
    "score": ["{folder}/step1/a.png", "--model", "{folder}"],
    "track": ["{folder}/step1", "--model", "{folder}", "--out", "{folder}/out"],
    "compare": ["{folder}/step1", "{folder}/step1", "--model", "{folder}"],
    "report": ["{folder}", "--out", "{folder}/report.html"],
    "convert-rali": ["{folder}", "{folder}/out"],
    "export-onnx": ["{folder}", "{folder}/out.onnx"],
    "data synth": ["{folder}/out", "--images", "8", "--val-images", "4", "--test-images", "4"],
    "serve check": ["configs/serve/light.yaml"],
}
ENOUGH = (["serve", "key", "somebody"], ["data", "list"], ["data", "check", "{folder}/a.csv", "--labels-only"])


def run_without(modules: str, folder: Path, commands: list[list[str]]) -> list[tuple[int, str]]:
    """Exit code and standard error of commands where ``modules``, or else all that the extras bring, are missing."""
    (folder / "a.csv").write_text("dataset,image_id,path,mos,direction\nd,1,a.png,1,higher\nd,2,b.png,2,higher\n")
    (folder / "metrics.jsonl").write_text('{"step": 1, "a": 1.0}\n')
    (folder / "step1").mkdir()
    Image.new("RGB", (64, 64)).save(folder / "step1" / "a.png")
    words = json.dumps([[word.format(folder=folder) for word in words] for words in commands])
    done = subprocess.run([sys.executable, "-c", CORE, modules, words], capture_output=True, text=True, check=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    commands = [[*command.split(), *words] for command, words in COMMANDS.items()]
    found = run_without("", tmp_path_factory.mktemp("core"), [*commands, *ENOUGH])
    return dict(zip([*COMMANDS, *map(" ".join, ENOUGH)], found, strict=True))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_without_its_extra_says_what_to_install(said: dict[str, tuple[int, str]], command: str) -> None:
    code, sentence = said[command]
    assert code == 1
    assert sentence.startswith("ray-iqa: ")
    assert f"pip install 'ray-iqa[{EXTRAS[command]}]'" in sentence or (
        command == "data synth" and "install ray-iqa[train]" in sentence
    )
    assert sentence.count("\n") == 1


def test_every_command_that_needs_an_extra_is_tried() -> None:
    assert set(EXTRAS) == set(COMMANDS)


@pytest.mark.parametrize("words", ENOUGH, ids=" ".join)
def test_the_core_is_enough(said: dict[str, tuple[int, str]], words: list[str]) -> None:
    assert said[" ".join(words)] == (0, said[" ".join(words)][1])


@pytest.mark.parametrize(
    ("module", "words", "extra"),
    [
        ("tensorboardX", ["track", "{folder}/step1", "--model", "/nowhere"], "light,report"),
        ("onnxscript", ["export-onnx", "/nowhere", "{folder}/out.onnx"], "light,onnx"),
        ("wandb", ["train", *TRAIN, "wandb=iqa"], "wandb"),
        ("wandb", ["sft", "--config", "configs/sft/chats.yaml", "wandb=iqa"], "wandb"),
        ("httpx", ["eval", "--model", "http://x", "--data", "{folder}/a.csv", "--out", "{folder}/out"], "client"),
    ],
)
def test_what_is_needed_late_is_missed_at_once(tmp_path: Path, module: str, words: list[str], extra: str) -> None:
    ((code, sentence),) = run_without(module, tmp_path, [words])
    assert code == 1
    assert sentence.endswith(f"module {module}, which is not installed: pip install 'ray-iqa[{extra}]'\n")


def test_a_module_of_our_own_that_is_missing_is_a_mistake_and_loud(tmp_path: Path) -> None:
    ((code, sentence),) = run_without("ray_iqa.evaluation.tracking", tmp_path, [["track", "{folder}/step1"]])
    assert code == -1
    assert "Traceback" in sentence
