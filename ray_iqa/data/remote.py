"""Pictures and manifests by URL, through fsspec and its spellings (abfs://, memory://); `remote_files` is for folders.

There are s3://, gs://, abfs://, file:// and what fsspec has packages for. Credentials are those that its packages find
in the environment.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any

from ray_iqa.errors import ConfigError, DataError
from ray_iqa.path_text import path_text


def is_url(name: str) -> bool:
    """Whether a name is a URL and not a path."""
    return "://" in name


def folder_of(name: str | Path) -> str:
    """Absolute path, or URL, of the folder that a file lies in."""
    return str(name).rpartition("/")[0] if is_url(str(name)) else str(Path(name).absolute().parent)


def located(folder: str | Path, path: str) -> str:
    """A path relative to ``folder``, which may be a URL, made absolute, as `path_text`; others as they are."""
    if is_url(path) or path.startswith("/"):
        return path_text(path)
    return path_text(f"{folder}/{path}" if is_url(str(folder)) else folder / Path(path))


@contextmanager
def local_file(name: str | Path) -> Iterator[Path]:
    """A file by its path; what a URL names, as a copy with the same file name, until the block ends.

    Raises:
        DataError: what the URL names cannot be read.
    """
    if not is_url(str(name)):
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="ray-iqa-") as scratch:
        copy = Path(scratch) / PurePosixPath(str(name)).name
        copy.write_bytes(read_bytes(str(name)))
        yield copy


def list_files(url: str, suffixes: tuple[str, ...]) -> list[str]:
    """URLs of the files behind a URL, sorted: itself, all below a prefix, or those that fit a pattern.

    Raises:
        ConfigError: its file system is not installed or cannot be reached, or it holds no such file.
    """
    try:
        store, path = _opened(url)
        if has_magic(path):
            found = store.glob(path)
        elif store.isfile(path):
            return [url]
        else:
            found = store.find(path)
        names = [str(store.unstrip_protocol(name)) for name in found]
    except (OSError, ImportError, ValueError) as error:
        raise ConfigError(f"cannot list {url}: {_said(error)}") from error
    files = sorted(name for name in names if PurePosixPath(name).suffix.lower() in suffixes)
    if not files:
        raise ConfigError(f"{url} must hold files that end in {', '.join(suffixes)}, found none")
    return files


def read_bytes(url: str) -> bytes:
    """The content of one file.

    Raises:
        DataError: it cannot be read; begins with the URL.
    """
    try:
        store, path = _opened(url)
        content: bytes = store.cat_file(path)
    except Exception as error:  # each object store has exceptions of its own
        raise DataError(f"{url}: {_said(error)}") from error
    return content


def _opened(url: str) -> tuple[Any, str]:  # Any: fsspec is untyped
    import fsspec  # type: ignore[import-untyped] # it ships no types

    store, path = fsspec.core.url_to_fs(url)
    return store, path


def _said(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "fsspec":
        return "URLs need the module fsspec, which is not installed: pip install 'ray-iqa[train]'"
    text = str(error).strip()
    return "no such file" if isinstance(error, FileNotFoundError) else text.splitlines()[0] if text else repr(error)
