"""A TensorBoard event file that holds what was logged when `EventFile.flush` returns.

tensorboardX's `SummaryWriter` hands events to a thread, and its `flush` does not wait for that: a checkpoint that takes
the curves along would miss the newest step.
"""

import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any


class EventFile:
    """A new file in ``folder``, which is made; events of steps from ``purge_step`` on in older files are hidden."""

    def __init__(self, folder: Path, purge_step: int) -> None:
        summaries()
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        # Files are named by the second: without the suffix a quick restart overwrites the last one.
        self._file = EventsWriter(str(folder / "events"), f".{time.time_ns()}")
        self.add(purge_step, file_version="brain.Event:2")
        self.add(purge_step, session_log=SessionLog(status=SessionLog.START))

    def add(self, step: int, **fields: Any) -> None:  # noqa: ANN401 - fields of TensorBoard's Event
        """Write one event, such as a ``summary`` made by `tensorboardX.summary`."""
        from tensorboardX.proto.event_pb2 import Event

        self._file.write_event(Event(wall_time=time.time(), step=step, **fields))

    def flush(self) -> None:
        """Return when everything is in the file."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()


def summaries() -> ModuleType:
    """`tensorboardX.summary`, imported without torch.

    tensorboardX imports it, where it is installed, to name a type: two seconds and 200 MB of a driver that needs none.
    """
    hidden = sys.modules.setdefault("torch", None) is None  # type: ignore[arg-type] # as if it were not installed
    try:
        from tensorboardX import summary
    finally:
        if hidden:
            del sys.modules["torch"]
    return summary
