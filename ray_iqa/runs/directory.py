"""The run directory: one driver at a time, and one configuration for the whole run."""

import fcntl
import json
import logging
import os
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel

from ray_iqa import __version__
from ray_iqa.config.load import dump_config
from ray_iqa.errors import CheckpointError
from ray_iqa.files import PARTIAL, writable_folder, write_text
from ray_iqa.runs.config_changes import decided_by, flat_settings, kind_of, read_as

logger = logging.getLogger(__name__)

_SETTINGS, _ORIGIN, _CHANGES, _LOCK = "resolved.json", "origin.json", "changes.jsonl", "run.lock"
_NOTHING_DONE = {_SETTINGS, _ORIGIN, _LOCK}


class RunDirectory:
    """Holds ``path`` for one process while its ``with`` block runs.

    The lock belongs to the open file, so it goes with the process however that ends. A file system without locks is
    used with a warning.

    ``resolved.json`` keeps the settings, ``origin.json`` the version that wrote last and digests of what the run was
    begun with, ``changes.jsonl`` every setting and version that changed, with the step that the run continued after.

    Args:
        path: Created when missing.
        config: On resume it must agree with what is there; see `config.changes`.
        contents: Digests of what keys name, by key: it may move, and must stay what it is.
        find_step: Called when the directory is held, before anything in it is looked at; returns the step that the run
            continues after, None where there are no steps.
        change_learning: Whether keys that say how a policy learns may change; None for a command without that option.
    """

    def __init__(
        self,
        path: Path,
        config: BaseModel,
        *,
        contents: Mapping[str, str] | None = None,
        find_step: Callable[[], int | None] = lambda: None,
        change_learning: bool | None = None,
    ) -> None:
        self._path, self._config, self._find_step = path, config, find_step
        self._contents = dict(contents or {})
        self._change_learning = change_learning
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
            self._check_and_write(self._find_step())
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
        lock = (self._path / _LOCK).open("a+")
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

    def _check_and_write(self, step: int | None) -> None:
        names = {entry.name for entry in self._path.iterdir() if not entry.name.startswith(PARTIAL)}
        origin: dict[str, Any] = {"ray_iqa": __version__, "contents": dict(self._contents)}  # Any: JSON values
        if names - _NOTHING_DONE and _SETTINGS in names:  # one refused before it did anything may be corrected
            before = self._read(_ORIGIN) if _ORIGIN in names else {"ray_iqa": None, "contents": {}}
            origin["contents"] |= before["contents"]
            changes = self._changed_settings(before["contents"])
            if before["ray_iqa"] != __version__:
                changes["ray_iqa"] = (before["ray_iqa"], __version__)
            if changes:
                self._log_changes(changes, step)
        write_text(self._path / _ORIGIN, json.dumps(origin, indent=2) + "\n")
        write_text(self._path / _SETTINGS, dump_config(self._config))

    def _changed_settings(self, contents: Mapping[str, str]) -> dict[str, tuple[object, object]]:
        """Before and after of every key that differs; ``contents`` are the digests that the run was begun with.

        Raises:
            CheckpointError: one of them must not change.
        """
        settings = self._config.model_dump(mode="json")
        written, dropped = read_as(type(self._config), self._read(_SETTINGS), settings)
        if dropped:
            logger.warning("%s: this version has no %s; what an older one wrote there is dropped", self._path, dropped)
        before, now = flat_settings(written), flat_settings(settings)
        known = {key for key in self._contents if key in contents}
        other = {key for key in known if contents[key] != self._contents[key]}
        changed = {
            key: (before.get(key), now.get(key))
            for key in sorted(before.keys() | now.keys())
            if before.get(key) != now.get(key) or key in other
        }
        kinds = {key: kind_of(key) for key in changed if decided_by(key) not in known - other}
        kept = [key for key, kind in kinds.items() if kind == "kept"]
        learning = [key for key, kind in kinds.items() if kind == "learning" and not self._change_learning]
        if kept or learning:
            raise CheckpointError(self._refusal(changed, kept, learning, other))
        return changed

    def _refusal(
        self, changed: Mapping[str, tuple[object, object]], kept: list[str], learning: list[str], other: set[str]
    ) -> str:
        def said(keys: list[str]) -> str:
            return ", ".join(
                f"{key} (its content is another)"
                if key in other
                else f"{key} (was {changed[key][0]!r}, now {changed[key][1]!r})"
                for key in keys
            )

        if self._change_learning is None:
            kept, learning = [*kept, *learning], []
        sentences = [f"{self._path} belongs to a run with other settings"]
        if kept:
            sentences.append(f"{said(kept)} cannot change on resume; choose another run_dir or set back what changed")
        if learning:
            sentences.append(f"{said(learning)} can with --change-learning, from the next step on")
        return ": ".join(sentences[:2]) + "".join(f"; {sentence}" for sentence in sentences[2:])

    def _log_changes(self, changes: Mapping[str, tuple[object, object]], step: int | None) -> None:
        log, time = self._path / _CHANGES, datetime.now(UTC).isoformat(timespec="seconds")
        lines = [log.read_text(encoding="utf-8")] if log.exists() else []
        for key, (before, after) in changes.items():
            logger.warning("%s: %s was %r, now %r", self._path, key, before, after)
            row = {"step": step, "key": key, "before": before, "after": after, "version": __version__, "time": time}
            lines.append(json.dumps(row) + "\n")
        write_text(log, "".join(lines))

    def _read(self, name: str) -> dict[str, Any]:  # Any: JSON values
        file = self._path / name
        try:
            tree: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CheckpointError(f"{file} is not readable as JSON ({error}); choose another run_dir") from error
        return tree
