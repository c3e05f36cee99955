"""SIGTERM and Ctrl-C as a question: the step in hand is finished and saved before a run ends."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPPED = 128 + signal.SIGTERM
"""Exit code of a run that was asked to stop and did."""


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and the first Ctrl-C into a question the loop asks after each step."""
    received: list[int] = []

    def note(number: int, _frame: object) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C ends at once

    def install() -> bool:
        # Asked at every step: Ray replaces the SIGTERM handler when it connects.
        if signal.getsignal(signal.SIGTERM) is not note:
            signal.signal(signal.SIGTERM, note)
        return bool(received)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield install
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
