"""`ray-iqa serve check | key`: what is needed around `serve run` and `serve deploy`."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_serve_commands(commands: "Commands") -> None:
    """Add the sub-commands to the parser of `ray-iqa serve`."""
    check = commands.add_parser("check", help="find misspelt keys and bad values in Serve config files")
    check.add_argument("files", nargs="+", type=Path, metavar="FILE", help="see configs/serve/")
    check.set_defaults(command=_check)
    key = commands.add_parser("key", help="make an API key and the line for access.keys_file")
    key.add_argument("name", help="whose key it is, one word")
    key.set_defaults(command=_key)


def _check(arguments: argparse.Namespace) -> int:
    from actors.serving.check import check_file

    num_findings = 0
    for path in arguments.files:
        findings = check_file(path)
        num_findings += len(findings)
        sys.stdout.write("".join(f"{path}: {finding}\n" for finding in findings) or f"{path}: ok\n")
    return 1 if num_findings else 0


def _key(arguments: argparse.Namespace) -> int:
    from ray_iqa.errors import ConfigError
    from ray_iqa.http.auth.keys import hash_of, new_key

    if len(arguments.name.split()) != 1:
        raise ConfigError(f"the name of a key must be one word, got {arguments.name!r}")
    key = new_key()
    sys.stdout.write(f"{hash_of(key)} {arguments.name}\n")
    sys.stderr.write(f"the key, shown once: {key}\nthe line for access.keys_file is on standard output\n")
    return 0
