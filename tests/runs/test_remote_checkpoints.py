import math
from pathlib import Path

import pytest
from pyarrow.fs import FileSystem

from ray_iqa.errors import CheckpointError, ConfigError
from ray_iqa.runs.checkpoints import CheckpointStore
from ray_iqa.runs.remote_checkpoints import RemoteCheckpointStore
from ray_iqa.runs.remote_files import RemoteFolder, folder_for_reading, folder_for_writing
from ray_iqa.types import Progress


class Dying(RemoteFolder):
    """A remote folder whose user dies at the n-th change."""

    def __init__(self, uri: str, num_changes: int) -> None:
        super().__init__(uri)
        self._left = num_changes

    def _make_parent(self, name: str) -> None:  # of every write and upload
        self._live()
        super()._make_parent(name)

    def delete_file(self, name: str) -> None:
        self._live()
        super().delete_file(name)

    def delete_folder(self, name: str) -> None:
        self._live()
        super().delete_folder(name)

    def _live(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt


def _store(tmp_path: Path, disk: str = "disk", keep: int = 2, num_changes: int = 10**9) -> RemoteCheckpointStore:
    run_dir = tmp_path / disk
    run_dir.mkdir(exist_ok=True)
    return RemoteCheckpointStore(Dying(f"file://{tmp_path}/remote", num_changes), keep, run_dir)


def _save(store: RemoteCheckpointStore, step: int, srcc: float | None = None) -> None:
    uri = store.begin(step)
    for rank in range(2):
        with folder_for_writing(uri) as folder:
            (folder / "shards").mkdir()
            (folder / "shards" / f"rank-{rank}.bin").write_text(f"weights of step {step} " * 50)
    store.commit(step, Progress(step=step, policy_version=step, validation_srcc=srcc))


def _content(uri: str) -> dict[str, str]:
    with folder_for_reading(uri, lambda name: name.startswith("shards/")) as folder:
        return {path.name: path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_another_driver_finds_what_all_ranks_wrote(tmp_path: Path) -> None:
    assert _store(tmp_path).latest() is None
    _save(_store(tmp_path), 7, srcc=0.5)
    uri, progress = _store(tmp_path, "other").latest()
    assert progress == Progress(step=7, policy_version=7, validation_srcc=0.5)
    assert _content(uri) == {f"rank-{rank}.bin": "weights of step 7 " * 50 for rank in range(2)}


def test_newest_and_best_are_kept(tmp_path: Path) -> None:
    store = _store(tmp_path)
    for step, srcc in enumerate([None, 0.3, 0.9, 0.9, math.nan, 0.5, 0.6], start=1):
        _save(store, step, srcc)
    names = sorted(path.name for path in (tmp_path / "remote" / "checkpoints").iterdir())
    assert names == ["step-000003", "step-000006", "step-000007"]


def test_checkpoints_of_a_useless_version_are_deleted(tmp_path: Path) -> None:
    store = _store(tmp_path)
    _save(store, 1)
    _save(store, 2)
    store.discard(2)
    assert [progress.step for _, progress in _store(tmp_path).complete()] == [1]


def test_a_complete_checkpoint_is_not_written_again(tmp_path: Path) -> None:
    _save(_store(tmp_path), 1)
    with pytest.raises(CheckpointError, match="saved once"):
        _store(tmp_path).begin(1)


@pytest.mark.parametrize("damage", ["truncated", "missing", "half_state"])
def test_a_damaged_checkpoint_is_passed_over_and_replaced(tmp_path: Path, damage: str) -> None:
    store = _store(tmp_path)
    _save(store, 1)
    _save(store, 2)
    newest = tmp_path / "remote" / "checkpoints" / "step-000002"
    shard, state = newest / "shards" / "rank-1.bin", newest / "state.json"
    match damage:
        case "truncated":
            shard.write_text("weights")
        case "missing":
            shard.unlink()
        case "half_state":
            state.write_text(state.read_text()[:40])
    assert store.latest()[1].step == 1
    _save(store, 2)
    assert store.latest()[1].step == 2


def test_a_driver_that_dies_at_any_change_leaves_complete_checkpoints_only(tmp_path: Path) -> None:
    deaths = 0
    for num_changes in range(1000):
        home = tmp_path / str(num_changes)
        home.mkdir()
        dying, committed = _store(home, keep=1, num_changes=num_changes), 0
        try:
            for step in (1, 2, 3):
                _save(dying, step)
                committed = step
        except KeyboardInterrupt:
            deaths += 1
        else:
            break
        after = _store(home, "other", keep=1)
        found = after.latest()
        assert (found[1].step if found else 0) >= committed
        if found:
            assert len(_content(found[0])) == 2
        _save(after, 4)
        assert [path.name for path in (home / "remote" / "checkpoints").iterdir()] == ["step-000004"]
    assert 5 < deaths < 1000


def test_an_empty_disk_gets_the_logs_of_the_newest_checkpoint(tmp_path: Path) -> None:
    store, disk = _store(tmp_path), tmp_path / "disk"
    (disk / "rollouts").mkdir()
    (disk / "wandb_id").write_text("abc")
    for step in (1, 2, 3):
        with (disk / "metrics.jsonl").open("a") as log:
            log.write(f'{{"step": {step}}}\n')
        (disk / "rollouts" / f"step-{step:06d}.parquet").write_text(f"rollouts of step {step}")
        (disk / "rollouts" / ".half.partial").touch()
        if step == 2:
            _save(store, step)
    other = _store(tmp_path, "other")
    other.restore_logs()
    assert (tmp_path / "other" / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'
    names = sorted(path.name for path in (tmp_path / "other" / "rollouts").iterdir())
    assert names == ["step-000001.parquet", "step-000002.parquet"]
    assert (tmp_path / "other" / "wandb_id").read_text() == "abc"  # the curve goes on

    (tmp_path / "other" / "metrics.jsonl").write_text("of another attempt\n" * 9)
    other.restore_logs()
    assert (tmp_path / "other" / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'


def test_checkpoints_on_the_disk_are_not_forgotten_for_an_empty_uri(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.restore_logs()  # a new run
    local = CheckpointStore(str(tmp_path / "disk"), keep=1)
    local.begin(3)
    local.commit(3, Progress(step=3, policy_version=3))
    with pytest.raises(CheckpointError, match=r"has checkpoints and .*remote has none"):
        store.restore_logs()


def test_the_same_on_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a server that speaks S3; it is not among the pinned packages, to which it would add 85 MB."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    options = f"scheme=http&endpoint_override={host}%3A{port}&region=us-east-1&allow_bucket_creation=true"
    FileSystem.from_uri(f"s3://bucket?{options}")[0].create_dir("bucket")
    try:
        (tmp_path / "metrics.jsonl").write_text('{"step": 3}\n')
        remote = RemoteFolder(f"s3://bucket/runs/a?{options}")
        store = RemoteCheckpointStore(remote, 2, tmp_path)
        for step in (1, 2, 3):
            _save(store, step)
        remote.delete_file("checkpoints/step-000003/shards/rank-1.bin")
        uri, progress = RemoteCheckpointStore(remote, 2, tmp_path).latest()
        assert progress.step == 2
        assert len(_content(uri)) == 2
        (tmp_path / "metrics.jsonl").unlink()
        store.restore_logs()
        assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 3}\n'
        _save(store, 3)
        assert not any(name.startswith("checkpoints/step-000001") for name in remote.sizes())
        remote.require_writable()
        with pytest.raises(ConfigError, match="must exist and be writable"):
            RemoteFolder(
                f"s3://nowhere/runs/a?{options.removesuffix('&allow_bucket_creation=true')}"
            ).require_writable()
    finally:
        server.stop()
