import json
import math
import os
import signal
import sys
from pathlib import Path

import pytest

from ray_iqa.errors import CheckpointError
from ray_iqa.runs.checkpoints import CheckpointStore, best_progress
from ray_iqa.types import Progress

PAYLOAD = "weights of step {0} " * 50


def _save(store: CheckpointStore, step: int, srcc: float | None = None) -> None:
    folder = store.begin(step)
    (folder / "shards").mkdir()
    (folder / "shards" / "rank-0.bin").write_text(PAYLOAD.format(step))
    store.commit(step, Progress(step=step, policy_version=step, validation_srcc=srcc))


def _visible(run_dir: Path) -> list[str]:
    return sorted(path.name for path in (run_dir / "checkpoints").glob("step-*"))


def test_empty_run_has_no_checkpoint(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), keep=2)
    assert store.latest() is None
    assert best_progress([]) is None


def test_latest_returns_what_was_committed(tmp_path: Path) -> None:
    _save(CheckpointStore(str(tmp_path), keep=2), 7, srcc=0.5)
    path, progress = CheckpointStore(str(tmp_path), keep=2).latest()
    assert progress == Progress(step=7, policy_version=7, validation_srcc=0.5)
    assert (path / "shards" / "rank-0.bin").read_text() == PAYLOAD.format(7)
    assert "numpy" in json.loads((path / "state.json").read_text())["versions"]


def test_keeps_newest_and_best(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), keep=2)
    for step, srcc in enumerate([None, 0.3, 0.9, 0.9, math.nan, 0.5, 0.6], start=1):
        _save(store, step, srcc)
    assert _visible(tmp_path) == ["step-000003", "step-000006", "step-000007"]
    assert best_progress([progress for _, progress in store.complete()]).step == 3  # the earlier of two equals
    assert store.latest()[1].step == 7


def test_checkpoints_after_steps_that_taught_nothing_do_not_displace_what_there_is_to_go_back_to(
    tmp_path: Path,
) -> None:
    store = CheckpointStore(str(tmp_path), keep=2)
    for step, policy_version in enumerate([1, 2, 3, 3, 3], start=1):
        store.begin(step)
        store.commit(step, Progress(step=step, policy_version=policy_version))
    assert _visible(tmp_path) == ["step-000002", "step-000005"]
    store.discard(3)
    assert store.latest()[1].step == 2


def test_steps_are_ordered_as_numbers(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), keep=1)
    _save(store, 999_999)
    _save(store, 1_000_000)
    assert store.latest()[1].step == 1_000_000


@pytest.mark.parametrize("damage", ["truncated", "missing", "state", "half_state"])
def test_damaged_checkpoint_is_passed_over_and_replaced(tmp_path: Path, damage: str) -> None:
    store = CheckpointStore(str(tmp_path), keep=3)
    _save(store, 1)
    _save(store, 2)
    newest = store.latest()[0]
    shard, state = newest / "shards" / "rank-0.bin", newest / "state.json"
    match damage:
        case "truncated":
            shard.write_text("weights")
        case "missing":
            shard.unlink()
        case "state":
            state.unlink()
        case "half_state":
            state.write_text(state.read_text()[:40])
    assert store.latest()[1].step == 1
    _save(store, 2)
    assert store.latest()[1].step == 2


def _rewrite_state(run_dir: Path, **changes: object) -> None:
    file = run_dir / "checkpoints" / "step-000002" / "state.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_progress_of_another_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), keep=3)
    _save(store, 2)
    _rewrite_state(tmp_path, progress={"step": 2, "policy_version": 1, "of_another_version": 7})
    assert store.latest()[1] == Progress(step=2, policy_version=1)


def test_a_format_of_the_future_is_not_taken_for_damage(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), keep=3)
    _save(store, 2)
    _rewrite_state(tmp_path, format=99, versions={"ray-iqa": "9.0"})
    with pytest.raises(CheckpointError, match=r"step 2 was written by ray-iqa 9\.0 in a format"):
        store.latest()


def test_checkpoints_of_a_useless_version_are_deleted(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), keep=5)
    for step in (1, 2, 3):
        store.begin(step)
        store.commit(step, Progress(step=step, policy_version=min(step, 2)))
    store.discard(2)
    assert _visible(tmp_path) == ["step-000001"]


def test_a_complete_checkpoint_is_not_written_again(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), keep=2)
    _save(store, 1)
    with pytest.raises(CheckpointError, match="saved once"):
        store.begin(1)
    assert store.latest()[1].step == 1


def _save_three_and_die(run_dir: Path, acknowledged: Path, num_operations: int) -> bool:
    """Save steps 1 to 3 in a child that kills itself before its n-th file operation; True if it was killed."""
    child = os.fork()
    if child == 0:
        left = num_operations

        def count(event: str, _arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        store = CheckpointStore(str(run_dir), keep=1)
        for step in (1, 2, 3):
            _save(store, step)
            os.write(os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"x")
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_crash_at_any_file_operation_leaves_complete_checkpoints_only(tmp_path: Path) -> None:
    crashes = 0
    for num_operations in range(1000):
        run_dir, acknowledged = tmp_path / str(num_operations), tmp_path / f"{num_operations}.acknowledged"
        run_dir.mkdir()
        if not _save_three_and_die(run_dir, acknowledged, num_operations):
            break
        crashes += 1
        committed = acknowledged.stat().st_size if acknowledged.exists() else 0
        for name in _visible(run_dir):
            folder = run_dir / "checkpoints" / name
            assert (folder / "shards" / "rank-0.bin").read_text() == PAYLOAD.format(int(name[-6:]))
            assert (folder / "state.json").exists()
        store = CheckpointStore(str(run_dir), keep=1)
        found = store.latest()
        newest = found[1].step if found else 0
        assert newest >= committed
        _save(store, newest + 1)
        assert [path.name for path in (run_dir / "checkpoints").iterdir()] == [f"step-{newest + 1:06d}"]
    assert 40 < crashes < 1000
