from pathlib import Path

import pytest

from ray_iqa.errors import CheckpointError, ConfigError
from ray_iqa.runs.remote_files import RemoteFolder, folder_for_reading, folder_for_writing


def test_a_path_is_used_in_place(tmp_path: Path) -> None:
    with folder_for_writing(str(tmp_path)) as folder:
        assert folder == tmp_path
    with folder_for_reading(str(tmp_path), lambda _: False) as folder:
        assert folder == tmp_path


def test_only_what_is_needed_is_fetched(tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/remote"
    with folder_for_writing(uri) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "mine").write_text("1")
        (folder / "theirs").write_text("2")
    with folder_for_reading(uri, lambda name: name == "deep/mine") as folder:
        assert [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()] == ["deep/mine"]
    assert not folder.exists()
    assert RemoteFolder(uri).sizes() == {"deep/mine": 1, "theirs": 1}


def test_a_folder_without_folders_arrives(tmp_path: Path) -> None:
    with folder_for_writing(f"file://{tmp_path}/run/policy") as folder:
        (folder / "config.json").write_text("{}")
    assert (tmp_path / "run" / "policy" / "config.json").read_text() == "{}"


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("1")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), folder_for_writing(f"file://{tmp_path}/remote") as folder:
        fail(folder)
    assert not folder.exists()
    assert not (tmp_path / "remote").exists()


def test_an_empty_uri_and_an_unknown_one_are_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(CheckpointError, match="must hold the files of a checkpoint"),
        folder_for_reading(f"file://{tmp_path}/nothing", lambda _: True),
    ):
        pass
    with pytest.raises(ConfigError, match="'nowhere://bucket' is not"):
        RemoteFolder("nowhere://bucket")


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    RemoteFolder(f"file://{tmp_path}/new").require_writable()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    with pytest.raises(ConfigError, match="file:///proc/nowhere must exist and be writable"):
        RemoteFolder("file:///proc/nowhere").require_writable()


def test_fsspec_file_systems_work(tmp_path: Path) -> None:
    remote = RemoteFolder("fsspec+memory:///run")
    (tmp_path / "file").write_text("content")
    remote.upload(tmp_path / "file", "logs/file")
    remote.download("logs/file", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "content"
    remote.delete_folder("logs")
    assert remote.sizes() == {}
    assert remote.read("logs/file") == ""
