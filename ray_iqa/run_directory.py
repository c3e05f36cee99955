"""The run directory: one driver at a time, and one configuration for the whole run."""

import fcntl
import json
import logging
import os
import socket
from collections.abc import Callable
from fnmatch import fnmatch
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel

from ray_iqa.config.load import dump_config
from ray_iqa.errors import CheckpointError
from ray_iqa.files import PARTIAL, writable_folder, write_text

logger = logging.getLogger(__name__)
MAY_CHANGE = (
    "run_dir",
    "schedule.*",
    "evaluation.*",
    "cluster.*",
    "weights.*",
    "*.num_threads",
    "*.profile",
    "*_deadline_s",
    "rollout.*_workers",
    "rollout.gpu_memory_utilization",
    "rollout.kv_cache_gib",
    "rollout.max_num_seqs",
    "rollout.sleep_when_idle",
    "images.*",  # of annotation: pictures that are there already are not annotated again
    "pipeline.*",
    "workers.*",
)
"""Keys that a resumed run may change: its length, what is measured, and the machines it runs on."""


class RunDirectory:
    """Holds ``path`` for one process while its ``with`` block runs.

    The lock belongs to the open file, so it goes with the process however that ends. A file system without locks is
    used with a warning.

    Args:
        path: Created when missing.
        config: Written to ``resolved.json``; on resume it must agree with what is there.
        fill: Called when the directory is held, before anything in it is looked at.
    """

    def __init__(self, path: Path, config: BaseModel, fill: Callable[[], None] | None = None) -> None:
        self._path, self._config, self._fill = path, config, fill
        self._lock: TextIOWrapper | None = None

    def __enter__(self) -> Self:
        """Take the directory.

        Raises:
            CheckpointError: another process holds it, or it belongs to a run with other settings.
            OutputError: it cannot be made or written.
        """
        writable_folder(self._path)
        self._lock = self._take_lock()
        try:
            if self._fill is not None:
                self._fill()
            self._check_and_write_config()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the directory back."""
        assert self._lock is not None, "entered before"
        self._lock.close()

    def _take_lock(self) -> TextIOWrapper:
        lock = (self._path / "run.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            lock.close()
            raise CheckpointError(
                f"one driver may write {self._path} at a time, but {holder} does; stop it or choose another run_dir"
            ) from error
        except OSError as error:  # Lustre without its option flock, NFS without a lock server
            logger.warning(
                "the file system of %s has no locks (%s): see to it that one driver at a time writes it",
                self._path,
                error.strerror,
            )
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        return lock

    def _check_and_write_config(self) -> None:
        resolved = self._path / "resolved.json"
        names = {entry.name for entry in self._path.iterdir() if not entry.name.startswith(PARTIAL)}
        begun = names - {resolved.name, "run.lock"}
        if begun and resolved.exists():  # a run that was refused before it did anything may be corrected
            before = _flatten(self._read(resolved))
            now = _flatten(self._config.model_dump(mode="json"))
            changed = [
                f"{key} (was {before.get(key)!r}, now {now.get(key)!r})"
                for key in sorted(before.keys() | now.keys())
                if before.get(key) != now.get(key) and not any(fnmatch(key, pattern) for pattern in MAY_CHANGE)
            ]
            if changed:
                raise CheckpointError(
                    f"{self._path} belongs to a run with other settings and cannot be resumed with changed "
                    f"{', '.join(changed)}; choose another run_dir or set them back"
                )
        write_text(resolved, dump_config(self._config))

    def _read(self, resolved: Path) -> dict[str, object]:
        try:
            tree: dict[str, object] = json.loads(resolved.read_text())
        except ValueError as error:
            raise CheckpointError(f"{resolved} is not readable as JSON ({error}); choose another run_dir") from error
        return tree


def _flatten(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
