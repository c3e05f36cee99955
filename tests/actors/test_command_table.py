"""What the parser hands to the function of a command is what that function takes."""

import argparse
import inspect
from pkgutil import resolve_name

import pytest

from actors.cli_parser import GROUPS
from actors.commands.command import Command
from actors.commands.jobs import JOBS
from actors.commands.tools import TOOLS

TABLES = {"": JOBS | TOOLS} | {f"{name} ": table for name, (_, table) in GROUPS.items()}
COMMANDS = {prefix + name: command for prefix, table in TABLES.items() for name, command in table.items()}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_function_takes_the_options_of_its_command(command: Command) -> None:
    parser = argparse.ArgumentParser(add_help=False)
    command.add_to(parser.add_subparsers(dest="called"), "it")
    [group] = parser._subparsers._group_actions
    options = {action.dest for action in group.choices["it"]._actions} - {"help"}
    if command.kind is not None:
        assert {"config", "overrides"} <= options
        options.remove("overrides")
    if command.stops:
        options.add("stop")
    inspect.signature(resolve_name(command.run)).bind(**dict.fromkeys(options))


def test_a_profile_stands_for_two_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    from actors.cli_parser import parser

    words = ["train", "--config", "c.yaml", "--profile", "/t.json", "seed=3"]
    assert parser().parse_args(words).overrides == ["learner.profile=/t.json", "cluster.timeline=true", "seed=3"]
    assert parser().parse_args(words[:3]).overrides == []
    with pytest.raises(SystemExit):
        parser().parse_args(["data"])
    assert "the following arguments are required: COMMAND" in capsys.readouterr().err
