"""The parser of `ray-iqa`, made of the tables of commands."""

import argparse
from collections.abc import Mapping

from actors.commands.command import Command
from actors.commands.jobs import JOBS
from actors.commands.tools import DATA, SERVE, TOOLS
from ray_iqa import __version__

GROUPS = {"data": ("make and inspect datasets", DATA), "serve": ("around `serve run` and `serve deploy`", SERVE)}


def parser() -> argparse.ArgumentParser:
    """All commands; ``call`` of what is parsed is the one to run, ``called`` its name."""
    root = argparse.ArgumentParser(prog="ray-iqa", description="Image quality judged by a reasoning policy.")
    root.add_argument("--version", action="version", version=f"ray-iqa {__version__}")
    commands = _add(root, JOBS | TOOLS, "called")
    for name, (text, table) in GROUPS.items():
        _add(commands.add_parser(name, help=text), table, "called_in_group")
    return root


def _add(
    parent: argparse.ArgumentParser, table: Mapping[str, Command], dest: str
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    commands = parent.add_subparsers(required=True, metavar="COMMAND", dest=dest)
    for name, command in table.items():
        command.add_to(commands, name)
    return commands
