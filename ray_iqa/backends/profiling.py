"""Profiles of what torch does in one process: a Chrome trace, which Perfetto opens, and a table."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from errno import ENOSPC
from pathlib import Path

import torch
from torch._C._profiler import _ExperimentalConfig  # the only switch for threads that torch did not start
from torch.profiler import ProfilerActivity, profile

from ray_iqa.files import whole_file, writable_file, write_text

_ROWS = 15


@contextmanager
def traced(file: str | Path) -> Iterator[None]:
    """Profile everything inside, on all threads; afterwards write ``file`` and a table, whose name has ``.txt`` added.

    The table goes to standard error too, which of an actor is a log file of its node.

    Raises:
        OutputError: ``file`` cannot be written; nothing has run then.
    """
    target = writable_file(file).absolute()
    activities, order = [ProfilerActivity.CPU], "self_cpu_time_total"
    if torch.cuda.is_available():
        activities, order = [*activities, ProfilerActivity.CUDA], "self_device_time_total"
    config = _ExperimentalConfig(profile_all_threads=True)
    with profile(activities=activities, experimental_config=config, acc_events=True) as profiler:
        yield
    with whole_file(target) as partial:
        profiler.export_chrome_trace(str(partial))
        unfinished = partial.with_name(f"{partial.name}.tmp")
        if unfinished.exists():  # torch only logs that it could not write
            unfinished.unlink()
            raise OSError(ENOSPC, os.strerror(ENOSPC))
    table = profiler.key_averages().table(sort_by=order, row_limit=_ROWS, max_name_column_width=40)
    write_text(target.with_name(f"{target.name}.txt"), f"{table}\n")
    sys.stderr.write(f"{table}\nProfile: {target}, to be opened in https://ui.perfetto.dev\n")


class TracedCall:
    """Profiles one call among many: an early one that no longer pays for start-up.

    ::

        traced_call = TracedCall(file, number=3)
        with traced_call():  # around every call
            ...
    """

    def __init__(self, file: str | None, number: int) -> None:
        """Without ``file`` nothing is profiled; calls are counted from 1.

        Raises:
            OutputError: ``file`` cannot be written.
        """
        if file is not None:
            writable_file(file)
        self._file, self._number, self._seen = file, number, 0

    def __call__(self) -> AbstractContextManager[None]:
        """The block of the next call."""
        self._seen += 1
        if self._file is None or self._seen != self._number:
            return nullcontext()
        return traced(self._file)
