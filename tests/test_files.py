"""Files whole or not at all, and places that are refused before any work; as root too, whom permissions do not bind."""

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ray_iqa.errors import OutputError
from ray_iqa.files import whole_file, writable_file, writable_folder, write_text


@contextmanager
def full_disk(free: int = 4096) -> Iterator[None]:
    """No file of this process may grow beyond ``free`` bytes; the kernel says EFBIG where a full disk says ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_appears_at_the_end_with_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "out.csv"
    with whole_file(file) as partial:
        partial.write_text("whole")
        assert not file.exists()
        assert partial.suffix == ".csv"
    assert file.read_text() == "whole"
    assert names(file.parent) == ["out.csv"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("the only labels")
    with full_disk(), pytest.raises(OutputError, match=r"labels.csv cannot be written: File too large; free some"):
        write_text(file, "x" * 5000)
    assert file.read_text() == "the only labels"
    assert names(tmp_path) == ["labels.csv"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_of_the_work_leaves_nothing_and_keeps_its_kind(tmp_path: Path, failure: type[BaseException]) -> None:
    def work() -> None:
        with whole_file(tmp_path / "out") as partial:
            partial.write_text("half")
            raise failure

    with pytest.raises(failure):
        work()
    assert names(tmp_path) == []


def test_permissions_are_those_of_open(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "new", "")
        (tmp_path / "plain").open("w").close()
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o604)
    write_text(tmp_path / "new", "again")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "out").symlink_to("store/real")  # to a file that is not there yet
    for text in ("first", "second"):
        write_text(tmp_path / "out", text)
        assert (tmp_path / "out").is_symlink()
        assert (tmp_path / "store/real").read_text() == text
    assert names(tmp_path / "store") == ["real"]


def test_a_device_and_a_pipe_are_written_not_replaced(tmp_path: Path) -> None:
    write_text("/dev/null", "x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(OutputError, match="/dev/full cannot be written: No space left on device; free some space"):
        write_text("/dev/full", "x" * 100_000)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(writable_file(tmp_path / "pipe"), "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)


def test_places_that_cannot_be_written_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    refused = {
        "": "must be a path of the file system, got ''",
        "a\0b": "must be a path of the file system",
        "s3://bucket/out.csv": "must be a path of the file system",
        Path("s3://bucket/out.csv"): "must be a path of the file system",
        tmp_path / "file" / "out.csv": "cannot be written: Not a directory; choose another place",
        tmp_path / "folder.csv": "cannot be written: Is a directory",
        tmp_path / "loop": "cannot be written: Too many levels of symbolic links",
        tmp_path / ("x" * 300): "cannot be written: File name too long",
        "/proc/none/out.csv": "cannot be written: ",
    }
    for place, words in refused.items():
        for check in (writable_file, lambda file: write_text(file, "")):
            with pytest.raises(OutputError, match=words):
                check(place)
    for folder in ("", tmp_path / "file", tmp_path / "file" / "runs", tmp_path / "loop", "/proc", "/proc/none"):
        with pytest.raises(OutputError, match=r"must be a path|cannot be written"):
            writable_folder(folder)
    with full_disk(0), pytest.raises(OutputError, match="free some space"):
        writable_folder(tmp_path / "full")
    assert names(tmp_path) == ["file", "folder.csv", "full", "loop"]


def test_a_long_name_and_a_free_place_are_taken(tmp_path: Path) -> None:
    assert writable_file(tmp_path / "new" / ("y" * 251 + ".csv")).parent.is_dir()
    write_text(tmp_path / "new" / ("y" * 251 + ".csv"), "")
    assert writable_folder(tmp_path / "runs" / "a") == tmp_path / "runs" / "a"
    assert names(tmp_path / "runs" / "a") == []
