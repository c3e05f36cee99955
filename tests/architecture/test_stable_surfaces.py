"""docs/api.md names what there is: no command, section, column, route or Python name more or less."""

import argparse
import importlib
import re
from pathlib import Path

import pytest

from actors.cli_parser import parser as _parser
from actors.commands.score import ScoreRow
from ray_iqa.config.jobs.annotate import AnnotateConfig
from ray_iqa.config.jobs.batch_score import BatchScoreConfig
from ray_iqa.config.jobs.evaluate import EvalConfig
from ray_iqa.config.jobs.fit_ract import FitRactConfig
from ray_iqa.config.jobs.fit_rali import FitRaliConfig
from ray_iqa.config.jobs.supervised import SftConfig
from ray_iqa.config.load import _keys
from ray_iqa.config.section import Section
from ray_iqa.config.serve import ServeConfig
from ray_iqa.config.train import TrainConfig
from ray_iqa.data.rows import COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
JOBS: list[type[Section]] = [
    TrainConfig,
    EvalConfig,
    AnnotateConfig,
    FitRaliConfig,
    FitRactConfig,
    SftConfig,
    BatchScoreConfig,
    ServeConfig,
]


def chapter(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands(parser: argparse.ArgumentParser, prefix: str = "") -> set[str]:
    """Names of all commands without sub-commands of their own."""
    groups = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        return {prefix.strip()}
    return {name for word, child in groups[0].items() for name in commands(child, f"{prefix} {word}")}


def test_every_command_is_named() -> None:
    named = re.findall(r"`([a-z][a-z -]*)`", "".join(re.findall(r"^\| (`.*?) \|", chapter("Commands"), re.MULTILINE)))
    assert sorted(named) == sorted(commands(_parser()))


@pytest.mark.parametrize("config", JOBS, ids=lambda config: config.__name__)
def test_every_section_of_a_configuration_is_named(config: type[Section]) -> None:
    [row] = re.findall(rf"^\| .* \| `{config.__name__}`, .* \| (.*) \|$", chapter("Configuration keys"), re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == [name for name in config.model_fields if _keys(config, [name])]


def test_every_column_is_named() -> None:
    assert set(re.findall(r"`(\w+)`", chapter("Manifest"))) >= set(COLUMNS)
    [score] = re.findall(r"^\| `score --out` \|[^|]*\|(.*)\|$", chapter("Files"), re.MULTILINE)
    assert re.findall(r"`(\w+)`", score) == list(ScoreRow.__annotations__)


def test_every_python_name_exists() -> None:
    names = re.findall(r"`((?:ray_iqa|actors|serve_app)[\w.:]*\w)`", chapter("Python"))
    assert len(names) > 6
    for name in names:
        module, _, attribute = name.replace(":", ".").rpartition(".")
        if module.split(".")[-1] in ("torchmetrics_plugin", "pyiqa_plugin"):
            pytest.importorskip("torchmetrics")
        assert hasattr(importlib.import_module(module), attribute), name
