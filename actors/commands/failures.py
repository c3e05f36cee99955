"""What a command says, in one sentence, where something outside of the program went wrong."""

import os
import select
import sys
from collections.abc import Sequence
from errno import EDQUOT, ENOSPC
from io import TextIOWrapper

from ray_iqa.errors import ConfigError, RayIqaError
from ray_iqa.path_text import NAMES, path_text

EXTRAS = dict.fromkeys(
    (
        "train",
        "export",
        "demo",
        "doctor",
        "eval",
        "annotate",
        "fit-rali",
        "fit-ract",
        "sft",
        "batch-score",
        "data synth",
    ),
    "train",
) | {
    "submit": "cluster",
    "score": "light",
    "compare": "light",
    "convert-rali": "light",
    "export-onnx": "light,onnx",
    "track": "light,report",
    "report": "light,report",
    "serve check": "serve",
}
"""What of pyproject.toml a command needs beside the core."""
_EXTRA_OF = {"httpx": "client", "tenacity": "client", "wandb": "wandb"}
"""Of modules that are imported for some arguments only."""
_OWN = ("ray_iqa", "actors", "serve_app")


def check_words(words: Sequence[str]) -> None:
    """Check what no argument of any command may be.

    Raises:
        ConfigError: an argument is empty, which as a path would be the working directory, holds a NUL character or,
            where Ray keeps the command line, is not UTF-8.
    """
    for place, word in enumerate(words, start=1):
        if not word or (word.startswith("--") and word.endswith("=")):
            before = f" after {words[place - 2]!r}" if place > 1 and not word else f" {word!r}"
            raise ConfigError(f"argument {place},{before}, is empty; is a variable of the shell not set?")
        if "\0" in word:
            raise ConfigError(f"no argument may hold a NUL character, got {word!r}")
        if EXTRAS.get(words[0]) in ("train", "cluster") and path_text(word) != word:
            raise ConfigError(
                f"Ray takes UTF-8 on its command line only, got {path_text(word)}; make a link to it with another name"
            )


def open_streams() -> None:
    """Where a standard stream is closed, open it to nowhere; names that are not UTF-8 can be written to both."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - to the end of the process
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=NAMES)


def is_unread() -> bool:
    """Whether standard output is a pipe whose reader went away."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def flush_output() -> None:
    """Write what is left; what standard output does not take is dropped, for the interpreter would complain of it."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def sentence_of(error: Exception, command: str) -> str | None:
    """One sentence on a failure that the user can mend; None for a mistake in the program."""
    match getattr(error, "cause", error):  # Ray wraps what happened in a worker
        case RayIqaError() as error:
            return str(error).partition("\n")[0]  # Ray Data adds advice
        case ModuleNotFoundError(name=str(name)) if name.partition(".")[0] not in _OWN and command in EXTRAS:
            module = name.partition(".")[0]
            extra = _EXTRA_OF.get(module, EXTRAS[command])
            return (
                f"`ray-iqa {command}` needs the module {module}, which is not installed: pip install 'ray-iqa[{extra}]'"
            )
        case OSError(filename=str() | bytes() as name) as error:
            return f"{os.fsdecode(name)} cannot be used: {error.strerror}; name another path or mend this one"
        case OSError(errno=number) as error if number in (ENOSPC, EDQUOT):
            return f"{error.strerror}: free some space, then run the same command again"
    return None
