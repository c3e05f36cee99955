"""A process in a session of its own: a test sends to its group what a terminal or `timeout` would send."""

import fcntl
import os
import signal
import subprocess
import termios
import threading
import time
import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from quickstart_runs import REPOSITORY

ALONE = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "RAY_AUTH_MODE")}
"""The environment of a command that starts a cluster."""


class Signalled:
    """The process and all it has started, known by a variable in their environment and by their sessions.

    Args:
        command: what to run.
        terminal: descriptor of a terminal to be the process's own, with its output; else output is read here.
    """

    def __init__(self, command: Sequence[str], terminal: int | None = None) -> None:
        self._mark = uuid.uuid4().hex
        self._sessions: set[int] = set()
        self.process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**ALONE, "PYTHONUNBUFFERED": "1", "RAY_IQA_TEST": self._mark},
            stdin=terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=partial(_begin, terminal is not None),
        )
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def await_words(self, words: str) -> None:
        """Wait until they are in the output."""
        until = time.monotonic() + 300
        while words not in self.said:
            assert self._reader.is_alive(), self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.01)

    def send(self, *numbers: signal.Signals) -> None:
        """Signal the group, whose other members are noted before; several signals reach the process as one moment's."""
        self._others()
        if len(numbers) > 1:  # a busy machine may pause this process, too, between one and the next
            self.process.send_signal(signal.SIGSTOP)
        for number in numbers:
            os.killpg(self.process.pid, number)
        if len(numbers) > 1:
            self.process.send_signal(signal.SIGCONT)

    def end(self, within_s: float) -> int:
        """The exit code, after which nothing that was started is left for longer than a few seconds."""
        code = self.process.wait(timeout=within_s)
        self._reader.join()
        until = time.monotonic() + 60
        while left := self._others():
            assert time.monotonic() < until, f"left behind: {left}"
            time.sleep(0.1)
        return code

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.said += line

    def _others(self) -> list[str]:
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) not in (os.getpid(), self.process.pid):
                try:
                    session = os.getsid(int(folder.name))
                    marked = self._mark.encode() in (folder / "environ").read_bytes()
                    if (marked or session in self._sessions) and (folder / "cmdline").read_bytes():  # no zombie
                        self._sessions.add(session)
                        found.append((folder / "comm").read_text().strip())
                except OSError:
                    continue
        return found


def _begin(has_terminal: bool) -> None:
    """Signals as a shell leaves them: a test before may have had a command end in this process, which ignores them."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if has_terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
