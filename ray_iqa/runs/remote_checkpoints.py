"""Checkpoints below a URI, for clusters whose nodes share no file system.

Every learner rank uploads its own files; the driver writes the marker ``state.json`` last and deletes it first, so
whoever looks, at any moment or after a crash, finds complete checkpoints only. Copies of the run's logs lie beside
them: a driver with an empty disk continues with the log as it was at the restored checkpoint.
"""

from pathlib import Path

from ray_iqa.errors import CheckpointError
from ray_iqa.runs.checkpoints import STATE, CheckpointStore, read_state, state_text, superseded
from ray_iqa.runs.remote_files import RemoteFolder
from ray_iqa.types import Progress

_LOGS = (
    "resolved.json",
    "origin.json",
    "changes.jsonl",
    "metrics.jsonl",
    "rollouts/*.parquet",
    "tensorboard/*",
    "wandb_id",
)


class RemoteCheckpointStore:
    """``checkpoints`` and ``logs`` below a remote folder; written by one driver at a time, read by any.

    Args:
        remote: Belongs to this run alone.
        keep: Newest checkpoints kept, beside the one with the best validation SRCC.
        run_dir: The driver's run directory, whose logs are copied with every checkpoint.
    """

    def __init__(self, remote: RemoteFolder, keep: int, run_dir: Path) -> None:
        self._remote, self._keep, self._run_dir = remote, keep, run_dir
        self._copied: dict[str, int] = {}  # log file -> modification time of what lies at the URI

    def begin(self, step: int) -> str:
        """URI of the checkpoint of ``step``; not a checkpoint until ``commit``.

        What crashed runs left behind is removed.

        Raises:
            CheckpointError: a complete checkpoint of this step exists.
        """
        folders, complete = self._folders(), self._complete()
        if _name(step) in complete:
            raise CheckpointError(
                f"a step is saved once, but {self._remote.uri_of(_name(step))} is complete already; resume from it"
            )
        for stray in folders.keys() - complete.keys():
            self._remove(stray)
        return self._remote.uri_of(_name(step))

    def commit(self, step: int, progress: Progress) -> None:
        """Make what lies at ``begin(step)`` the newest checkpoint and delete what need not be kept."""
        self._copy_logs()
        files = self._folders().get(_name(step), {})
        self._remote.write(f"{_name(step)}/{STATE}", state_text(progress, files))
        for old in superseded(list(self._complete().values()), self._keep):
            self._remove(_name(old))

    def place(self, name: str) -> str:
        """URI of something beside the checkpoints."""
        return self._remote.uri_of(name)

    def latest(self) -> tuple[str, Progress] | None:
        """URI of the newest complete checkpoint; damaged ones are passed over."""
        return next(reversed(self.complete()), None)

    def discard(self, policy_version: int) -> None:
        """Delete every checkpoint of a version that is of no use."""
        for name, progress in self._complete().items():
            if progress.policy_version == policy_version:
                self._remove(name)

    def complete(self) -> list[tuple[str, Progress]]:
        """URIs of all complete checkpoints, the newest last."""
        found = sorted(self._complete().items(), key=lambda item: item[1].step)
        return [(self._remote.uri_of(name), progress) for name, progress in found]

    def restore_logs(self) -> None:
        """Bring the run directory to the logs of the newest checkpoint; later rows are the caller's to drop.

        Raises:
            CheckpointError: the run directory has checkpoints of its own and the URI has none.
        """
        if not self._complete():
            if CheckpointStore(str(self._run_dir), self._keep).latest() is not None:
                raise CheckpointError(
                    f"{self._run_dir} has checkpoints and {self._remote.uri} has none; resume without "
                    "schedule.checkpoint_uri or choose another run_dir"
                )
            return
        logs = {name: size for name, size in self._remote.sizes().items() if name.startswith("logs/")}
        for name, size in logs.items():
            local = self._run_dir / name.removeprefix("logs/")
            if not (local.suffix == ".parquet" and local.exists() and local.stat().st_size == size):
                self._remote.download(name, local)
            self._copied[name.removeprefix("logs/")] = local.stat().st_mtime_ns

    def _copy_logs(self) -> None:
        for pattern in _LOGS:
            for path in self._run_dir.glob(pattern):
                name, changed = str(path.relative_to(self._run_dir)), path.stat().st_mtime_ns
                if self._copied.get(name) != changed and not path.name.startswith("."):
                    self._remote.upload(path, f"logs/{name}")
                    self._copied[name] = changed

    def _complete(self) -> dict[str, Progress]:
        found = {
            name: read_state(self._remote.read(f"{name}/{STATE}"), sizes)
            for name, sizes in self._folders().items()
            if STATE in sizes
        }
        return {name: progress for name, progress in found.items() if progress is not None}

    def _folders(self) -> dict[str, dict[str, int]]:
        """``checkpoints/step-...`` -> size of each of its files, the marker included."""
        folders: dict[str, dict[str, int]] = {}
        for path, size in self._remote.sizes().items():
            parts = path.split("/", 2)
            if len(parts) == 3 and parts[0] == "checkpoints":
                folders.setdefault("/".join(parts[:2]), {})[parts[2]] = size
        return folders

    def _remove(self, name: str) -> None:
        self._remote.delete_file(f"{name}/{STATE}")
        self._remote.delete_folder(name)


def newest_step(store: CheckpointStore | RemoteCheckpointStore) -> int:
    """The step that a run continues after, once its run directory has the logs up to there; 0 at the start."""
    if isinstance(store, RemoteCheckpointStore):
        store.restore_logs()
    latest = store.latest()
    return 0 if latest is None else latest[1].step


def _name(step: int) -> str:
    return f"checkpoints/step-{step:06d}"
