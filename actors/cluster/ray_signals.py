"""Patches of Ray 2.60 for what signals do to a driver and to the local cluster it starts.

`ray.init` starts daemons in the driver's process group, so that what is sent to the group (by `timeout`, Ctrl-C, a
terminal that closes) ends them with the step in hand, and the driver waits a minute for them. It also replaces the
driver's handler of SIGTERM, which `ray.shutdown` sets to the default. The kernel kills daemons of a killed driver, but
not what the raylet has started: its agents stay for more than a minute. Ray has no settings for any of this.

To be removed when Ray starts daemons in sessions of their own (there is no issue yet) and leaves handlers alone
(github.com/ray-project/ray/issues/46997).
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import services, utils

_KILL_AT_END = """
import os, signal, sys
sessions = {int(line) for line in sys.stdin}
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        if os.getsid(int(name)) in sessions:
            os.kill(int(name), signal.SIGKILL)
    except OSError:
        pass
"""
"""Reads sessions until nobody holds the other end of the pipe any more, and kills all that is in them."""
_guards: "list[subprocess.Popen[bytes]]" = []


@contextmanager
def own_signals() -> Iterator[None]:
    """While the block starts or stops Ray, daemons get sessions of their own and the driver keeps its handlers.

    What the daemons start is in their sessions too, and ends with the driver, however that ends.
    """
    popen, set_handler, handler = services.ConsolePopen, utils.set_sigterm_handler, signal.getsignal(signal.SIGTERM)

    def start(*arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":  # noqa: ANN401 - of Popen
        daemon: subprocess.Popen[bytes] = popen(*arguments, start_new_session=True, **options)
        _guard_session(daemon.pid)
        return daemon

    services.ConsolePopen, utils.set_sigterm_handler = start, lambda _handler: None
    try:
        yield
    finally:
        services.ConsolePopen, utils.set_sigterm_handler = popen, set_handler
        signal.signal(signal.SIGTERM, handler)  # Ray's C++ has its own, below Python's


def end_sessions() -> None:
    """End what a local cluster has left behind after its shutdown."""
    while _guards:
        _guards.pop().communicate()


def _guard_session(leader: int) -> None:
    if not _guards:
        command, quiet = [sys.executable, "-IS", "-c", _KILL_AT_END], subprocess.DEVNULL
        _guards.append(
            subprocess.Popen(
                command, bufsize=0, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
            )
        )
    _guards[0].stdin.write(b"%d\n" % leader)  # type: ignore[union-attr]  # asked for a pipe above
