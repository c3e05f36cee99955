"""Folders by URI, through pyarrow and its spellings (abfss, fsspec+<protocol>); `data.remote` is for pictures.

There are s3, gs, abfss, hdfs, file, and fsspec+<protocol>.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyarrow import ArrowException
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem, copy_files

from ray_iqa.errors import CheckpointError, ConfigError
from ray_iqa.files import whole_file

_LOCAL = LocalFileSystem()


class RemoteFolder:
    """A folder of any file system; credentials come from the environment, as the cloud's own tools find them."""

    def __init__(self, uri: str) -> None:
        """Find the file system.

        Raises:
            ConfigError: pyarrow knows no such file system, or it does not answer.
        """
        self.uri = uri
        try:
            self._system, self._path = FileSystem.from_uri(self.uri)
            self._system.get_file_info(self._path)
        except (OSError, ArrowException, ValueError, ImportError) as error:
            raise ConfigError(f"a folder must be reachable by its URI, {uri!r} is not: {error}") from error

    def uri_of(self, name: str) -> str:
        """URI of a file or folder below."""
        return uri_below(self.uri, name)

    def sizes(self) -> dict[str, int]:
        """Bytes of every file below, by its path relative to this folder."""
        selector = FileSelector(self._path, allow_not_found=True, recursive=True)
        found = [info for info in self._system.get_file_info(selector) if info.type == FileType.File]
        return {info.path[len(self._path) :].lstrip("/"): info.size for info in found}

    def read(self, name: str) -> str:
        """Text of a file; empty if there is none."""
        try:
            with self._system.open_input_stream(self._at(name)) as stream:
                return bytes(stream.read()).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def write(self, name: str, text: str) -> None:
        """Write a small file; on object stores it appears whole."""
        self._make_parent(name)
        with self._system.open_output_stream(self._at(name)) as stream:
            stream.write(text.encode())

    def require_writable(self) -> None:
        """Write a file and delete it again.

        Raises:
            ConfigError: that is not possible, as in a bucket that does not exist.
        """
        try:
            self.write(".writable", "")
            self.delete_file(".writable")
        except (OSError, ArrowException) as error:
            raise ConfigError(f"{self.uri} must exist and be writable, it is not: {error}") from error

    def upload(self, local: Path, name: str) -> None:
        """Copy a local file or folder to ``name``."""
        self._make_parent(f"{name}/" if local.is_dir() else name)  # copying makes folders below it only
        copy_files(str(local), self._at(name), source_filesystem=_LOCAL, destination_filesystem=self._system)

    def download(self, name: str, local: Path) -> None:
        """Copy the file ``name`` to ``local``, which appears whole."""
        with whole_file(local) as partial:
            copy_files(self._at(name), str(partial), source_filesystem=self._system, destination_filesystem=_LOCAL)

    def delete_file(self, name: str) -> None:
        """Delete a file if it is there."""
        with suppress(FileNotFoundError):
            self._system.delete_file(self._at(name))

    def delete_folder(self, name: str) -> None:
        """Delete a folder with all files below it, if it is there."""
        with suppress(FileNotFoundError):
            self._system.delete_dir(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}" if name else self._path

    def _make_parent(self, name: str) -> None:
        self._system.create_dir(self._at(name).rpartition("/")[0], recursive=True)


def uri_below(uri: str, name: str) -> str:
    """URI or path of what lies below another; options after a question mark stay at the end."""
    folder, mark, options = uri.partition("?")
    return f"{folder.rstrip('/')}/{name}{mark}{options}"


@contextmanager
def folder_for_writing(target: str) -> Iterator[Path]:
    """A local folder that is, or after the block is copied to, ``target``, a path or a URI."""
    if "://" not in target:
        yield Path(target)
        return
    with tempfile.TemporaryDirectory(prefix="ray-iqa-") as scratch:
        yield Path(scratch)
        if any(Path(scratch).iterdir()):
            RemoteFolder(target).upload(Path(scratch), "")


@contextmanager
def folder_for_reading(source: str, is_needed: Callable[[str], bool]) -> Iterator[Path]:
    """A local folder with what is needed of ``source``, a path or a URI; ``is_needed`` sees relative paths.

    Raises:
        CheckpointError: there is nothing at a URI.
    """
    if "://" not in source:
        yield Path(source)
        return
    remote = RemoteFolder(source)
    names = [name for name in remote.sizes() if is_needed(name)]
    if not names:
        raise CheckpointError(f"{source} must hold the files of a checkpoint, found none")
    with tempfile.TemporaryDirectory(prefix="ray-iqa-") as scratch:
        for name in names:
            remote.download(name, Path(scratch) / name)
        yield Path(scratch)
