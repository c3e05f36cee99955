"""What the README and the documents name is there: commands, make's targets, files."""

import re
from pathlib import Path

import pytest

from actors.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("clusters/**/*.md")]),
]
README = PAGES[0].read_text()


def test_every_command_of_the_readme_exists(capsys: pytest.CaptureFixture[str]) -> None:
    commands = set(re.findall(r"^ray-iqa ([a-z-]+)", README, re.MULTILINE))
    assert {"train", "score", "eval", "data"} <= commands
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0, command
    assert capsys.readouterr().err == ""


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", README))
    assert {"demo", "test"} <= named
    assert named <= targets


def test_no_page_starts_ray_without_tokens() -> None:
    starting = [page for page in PAGES if "ray start" in page.read_text()]
    assert starting
    assert [page for page in starting if "RAY_AUTH_MODE=token" not in page.read_text()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    links = [(page.parent, name) for name in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)]
    paths = [(ROOT, name) for name in re.findall(r"\b(?:configs|clusters|benchmarks|docs)/[\w/.-]+\.\w+", text)]
    assert [name for home, name in links + paths if not (home / name).exists()] == []
