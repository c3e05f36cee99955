"""One command of `ray-iqa`: its words, its options, and the function that runs it."""

import argparse
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from ray_iqa.config.load import load_config
from ray_iqa.config.section import Section

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
Option = tuple[tuple[str, ...], dict[str, Any]]
"""What `argparse.ArgumentParser.add_argument` takes."""


def option(*names: str, **settings: Any) -> Option:  # noqa: ANN401 - of add_argument
    """One option or argument of a command."""
    return names, settings


CHANGE_LEARNING = option(
    "--change-learning",
    action="store_true",
    help="resume with other values of keys that say how the policy learns, such as learner.learning_rate",
)


@dataclass(frozen=True, slots=True)
class Command:
    """What ``--help`` says of a command, and ``module:function``, imported only when it runs and given all options."""

    help: str
    run: str
    options: tuple[Option | list[Option], ...]
    """Of those in a list at most one may be given."""
    description: str | None = None
    stops: bool = False
    """Whether the function gets the `StopRequest` too, because it has steps to finish first."""
    kind: type[Section] | None = None
    """Of a job: what its ``--config`` and ``key.path=value`` become before its function gets it as ``config``."""

    def add_to(self, commands: "Commands", name: str) -> None:
        """Let ``commands`` know it under ``name``."""
        parser = commands.add_parser(name, help=self.help, description=self.description)
        for entry in self.options:
            target = parser.add_mutually_exclusive_group() if isinstance(entry, list) else parser
            for names, settings in entry if isinstance(entry, list) else [entry]:
                target.add_argument(*names, **settings)
        parser.set_defaults(call=self)

    def __call__(self, options: dict[str, Any], stop: object) -> int:
        """Run it; the exit code.

        Raises:
            ConfigError: see `load_config`.
        """
        if self.kind is not None:
            options["config"] = load_config(self.kind, options["config"], options.pop("overrides"))
        return int(resolve_name(self.run)(**options, **({"stop": stop} if self.stops else {})))


def overrides(text: str = "replaces one value of the file") -> Option:
    """``key.path=value`` as often as wanted; other options with the same ``dest`` may stand for some."""
    return option("overrides", nargs="*", action="extend", metavar="key.path=value", help=text)


def job(
    help: str,
    kind: type[Section],
    run: str,
    *options: Option,
    folder: str = "rali",
    stops: bool = False,
) -> Command:
    """A command that is described by one YAML file, such as those in ``configs/<folder>/``."""
    config = option("--config", required=True, help=f"YAML file as in configs/{folder}/, or the name of one there")
    return Command(help, run, (config, overrides(), *options), stops=stops, kind=kind)
