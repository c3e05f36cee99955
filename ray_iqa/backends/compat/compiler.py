"""Keeps PyTorch's compiler out of what runs without it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_SWITCH = "TORCHDYNAMO_DISABLE"


@contextmanager
def without_compiler() -> Iterator[None]:
    """`torch.compile` leaves functions as they are, also those of processes started inside.

    Libraries compile functions where they define them; loading the compiler takes more than a second of each process,
    and the first use of one on a CPU two more, or ten and a C++ compiler when none was cached.
    """
    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SWITCH]
        else:
            os.environ[_SWITCH] = before
