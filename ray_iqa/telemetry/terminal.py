"""Sentences for whoever watches a command."""

import sys
from contextlib import suppress


def say(sentence: str) -> None:
    """Tell whoever watches standard error; nobody need be there."""
    with suppress(OSError, ValueError, RuntimeError):  # it is closed, or a signal came while it was being written to
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()
