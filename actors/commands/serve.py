"""`ray-iqa serve check | key`: what is needed around `serve run` and `serve deploy`."""

import sys
from collections.abc import Sequence
from pathlib import Path


def check(files: Sequence[Path]) -> int:
    """Print the mistakes in Serve config files; the exit code, 1 where there are some."""
    from actors.serving.check import check_file

    num_findings = 0
    for path in files:
        findings = check_file(path)
        num_findings += len(findings)
        sys.stdout.write("".join(f"{path}: {finding}\n" for finding in findings) or f"{path}: ok\n")
    return 1 if num_findings else 0


def make_key(name: str) -> int:
    """Print a new key and its line for ``access.keys_file``; the exit code."""
    from ray_iqa.errors import ConfigError
    from ray_iqa.http.auth.keys import hash_of, new_key

    if len(name.split()) != 1:
        raise ConfigError(f"the name of a key must be one word, got {name!r}")
    key = new_key()
    sys.stdout.write(f"{hash_of(key)} {name}\n")
    sys.stderr.write(f"the key, shown once: {key}\nthe line for access.keys_file is on standard output\n")
    return 0
