"""`ray-iqa doctor | submit`: what a cluster is good for, and jobs on it."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_cluster_commands(commands: "Commands") -> None:
    """Add the sub-commands to the parser of `ray-iqa`."""
    doctor = commands.add_parser("doctor", help="check this machine or a cluster against a training config")
    doctor.add_argument("--config", required=True, help="YAML file, see configs/train/")
    doctor.add_argument("overrides", nargs="*", metavar="key.path=value", help="replaces one value of the file")
    doctor.set_defaults(command=_doctor)

    submit = commands.add_parser("submit", help="run a command on a cluster under a name; again: attach or resume")
    submit.add_argument("name", help="of the job; its attempts are NAME-1, NAME-2, ...")
    submit.add_argument("--address", help="of the dashboard; else RAY_API_SERVER_ADDRESS, else http://127.0.0.1:8265")
    submit.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="e.g. train --config FILE")
    submit.set_defaults(command=_submit)


def _doctor(arguments: argparse.Namespace) -> int:
    from actors.doctor.doctor import run

    return run(arguments.config, arguments.overrides)


def _submit(arguments: argparse.Namespace) -> int:
    from actors.cluster.submit import run

    words = arguments.arguments
    return run(arguments.name, arguments.address, words[1:] if words[:1] == ["--"] else words)
