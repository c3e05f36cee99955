"""What pip installs: the two packages with the configs and the Serve application, and nothing of the tests."""

import re
import subprocess
import sys
import venv
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from zipfile import Path as ZipPath
from zipfile import ZipFile

import pytest
import yaml

from ray_iqa import __version__
from ray_iqa.config.load import packaged_configs

ROOT = Path(__file__).parents[2]
CORE = (
    *("numpy", "scipy", "pyarrow", "pillow", "pyyaml"),
    *("pydantic", "pydantic_core", "annotated-types", "typing_extensions", "typing-inspection"),
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    [wheel] = folder.glob("ray_iqa-*.whl")
    return wheel


def test_the_wheel_holds_both_packages_and_the_serve_application(wheel: Path) -> None:
    names = [name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.split("/")[0] for name in names} == {"ray_iqa", "actors", "serve_app.py"}
    tracked = subprocess.run(["git", "ls-files", "ray_iqa", "actors"], cwd=ROOT, check=True, capture_output=True)
    assert set(tracked.stdout.decode().split()) <= set(names)
    configs = [path.relative_to(ROOT) for path in (ROOT / "configs").rglob("*") if path.is_file()]
    assert {f"ray_iqa/{path}" for path in configs} == {name for name in names if name.startswith("ray_iqa/configs/")}


def test_a_wheel_in_an_empty_folder_names_itself_and_finds_its_configs(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "fresh")
    python = tmp_path / "fresh" / "bin" / "python"
    packages = subprocess.run(
        [python, "-c", "import site; print(site.getsitepackages()[0])"], check=True, capture_output=True, text=True
    ).stdout.strip()
    ZipFile(wheel).extractall(packages)
    # What the core depends on comes from this environment; ray, which `train` needs, is hidden.
    core = {package: Distribution.from_name(package) for package in CORE}
    for distribution in core.values():
        for file in {path.parts[0] for path in distribution.files or [] if path.parts[0] not in ("..", "bin")}:
            (Path(packages) / file).symlink_to(Path(str(distribution.locate_file(file))))
    (tmp_path / "empty").mkdir()

    def run(*words: str) -> tuple[int, str]:
        program = "import sys; from actors.cli import main; sys.exit(main(sys.argv[1:]))"
        command = [python, "-I", "-c", program, *words]
        done = subprocess.run(command, cwd=tmp_path / "empty", capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout + done.stderr

    assert run("--version") == (0, f"ray-iqa {__version__}\n")
    code, sentence = run("train", "--config", "quickstart")
    assert (code, sentence.count("\n")) == (1, 1)
    assert "`ray-iqa train` needs the module ray, which is not installed: pip install 'ray-iqa[train]'" in sentence
    code, sentence = run("train", "--config", "configs/train/quickstart.yaml")
    assert code == 1
    assert "packaged ones go by their names" in sentence
    assert "quickstart" in sentence
    assert run("train", "--config", "nowhere")[0] == 1


def test_the_metadata_says_what_an_index_shows(wheel: Path) -> None:
    [folder] = [path for path in ZipPath(wheel).iterdir() if path.name.endswith(".dist-info")]
    metadata = PathDistribution(folder).metadata
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert len(metadata.get_all("Classifier")) > 5
    assert "arxiv.org" in " ".join(metadata.get_all("Project-URL"))
    assert metadata["Author"]


def test_packaged_configs_have_one_name_each() -> None:
    assert len(packaged_configs()) == len(list((ROOT / "configs").glob("*/*.yaml")))


def test_the_citation_has_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert f"## {__version__} - {citation['date-released']}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_commands(shell: str) -> None:
    command = [sys.executable, "-m", "shtab", f"--shell={shell}", "--prog", "ray-iqa", "actors.cli_parser.parser"]
    script = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert {"train", "score", "serve"} <= set(re.findall(r"[\w-]+", script))
