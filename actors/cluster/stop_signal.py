"""SIGTERM, SIGHUP and Ctrl-C: how a command ends when it is asked to.

A command ends at once and gives back what it holds; one with a step in hand finishes and saves that first. Who asks
again does not wait: the process ends there and then, and the Ray processes it started go with it.
"""

import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ray_iqa.telemetry.terminal import say

STOPPED = 128 + signal.SIGTERM
_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows, from where jobs are submitted, has none
"""Exit code of a run that was asked to stop, by whatever signal, and saved its last step."""
_ONE_REQUEST_S = 0.5
"""`timeout` signals its child and then the group, a shell passes on what its terminal sent: one request, not two."""
_SHOW_CURSOR = "\x1b[?25h"


class StopRequest:
    """See `protocols.StopRequest`; one that was not given out by `stop_on_signal` never comes."""

    def __init__(self) -> None:
        self.in_hand = ""
        self._signal: signal.Signals | None = None
        self._noted_at = 0.0

    def requested(self) -> bool:
        """See `protocols.StopRequest.requested`."""
        return self._signal is not None

    @property
    def exit_code(self) -> int:
        """Of a command that ended at once, as shells have it."""
        return 128 + (self._signal or signal.SIGINT)

    @property
    def name(self) -> str:
        """What asked, for people."""
        return "Ctrl-C" if self._signal in (None, signal.SIGINT) else self._signal.name

    def note(self, number: int, _frame: object) -> None:
        """Handle a signal: wait for what is in hand, else raise KeyboardInterrupt; the second time end the process."""
        first, now = self._signal is None, time.monotonic()
        if not first and now - self._noted_at < _ONE_REQUEST_S:
            return
        self._signal, self._noted_at = signal.Signals(number), now
        if not first:
            say(f"stopping now ({self.name}); what was saved before is kept")
            _end(self.exit_code)
        if self.in_hand:
            say(f"finishing {self.in_hand}; again: stop now")
        if number == _HANGUP:
            _leave_terminal()
        self._noted_at = time.monotonic()  # what arrived meanwhile, on a machine that was busy, belongs to this request
        if not self.in_hand:
            raise KeyboardInterrupt


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """While the block runs, SIGTERM, SIGHUP and Ctrl-C are the request; `nohup` keeps its meaning."""
    request = StopRequest()
    wanted = [signal.SIGTERM, signal.SIGINT]
    if _HANGUP is not None and signal.getsignal(_HANGUP) != signal.SIG_IGN:
        wanted.append(_HANGUP)
    before = {number: signal.signal(number, request.note) for number in wanted}
    try:
        yield request
    finally:
        for number, handler in before.items():  # who has asked and presses on need not see the interpreter end
            signal.signal(number, signal.SIG_IGN if request.requested() else handler)


def _end(code: int) -> None:
    if sys.stdout.isatty():  # a live view has hidden it
        with suppress(OSError):
            os.write(sys.stdout.fileno(), _SHOW_CURSOR.encode())
    os._exit(code)


def _leave_terminal() -> None:
    """Writing to a terminal that has closed is an error, and would end the step in hand."""
    for descriptor in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
