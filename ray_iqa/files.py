"""Files read as text or refused; files that appear whole or not at all, in places checked before the work."""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_IMODE
from tempfile import gettempdir
from uuid import uuid4

from ray_iqa.errors import ConfigError, DataError, OutputError, RayIqaError
from ray_iqa.path_text import NAMES

PARTIAL = ".partial-"
"""How names begin of what is being written, or was when a process was killed; readers of a folder pass over them."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def whole_file(file: str | Path) -> Iterator[Path]:
    """A path to write in the block; when that ends well, what is there takes the place of ``file``, at once.

    After a failure ``file`` is as it was. A link stays, and what it points to is replaced. Permissions are those that
    opening the file would give; folders on the way are made. A pipe or a device gets the whole content.

    Raises:
        OutputError: the file cannot be written; the block's own errors of the operating system are taken for that.
    """
    with _refused(file):
        target = _target(file)
        is_stream = target.exists() and not target.is_file()  # a pipe or a device, which pyarrow would remove
        folder = Path(gettempdir()) if is_stream else target.parent
        partial = folder / f"{PARTIAL}{uuid4().hex}{target.suffix[:16]}"  # writers look at suffixes
        try:
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            model = (partial if is_stream or not target.exists() else target).stat()
            yield partial
            if is_stream:
                target.write_bytes(partial.read_bytes())
            else:
                _replace(partial, target, model)
        finally:
            with suppress(OSError):
                partial.unlink()


@contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """An empty folder to fill in the block; when that ends well, it takes the place of ``folder``.

    After a failure ``folder`` is as it was; a process killed between the two renames leaves it absent. It has one
    writer at a time, who removes what a killed one left beside it.

    Raises:
        OutputError: the folder cannot be written; the block's own errors of the operating system are taken for that.
    """
    with _refused(folder):
        _require_path(folder)
        target = Path(os.path.realpath(folder))
        partial, doomed = (target.with_name(f"{PARTIAL}{kind}-{target.name}") for kind in ("new", "old"))
        for stray in (partial, doomed):
            shutil.rmtree(stray, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            yield partial
            if target.exists():
                target.rename(doomed)
            partial.rename(target)
        finally:
            for leftover in (partial, doomed):
                shutil.rmtree(leftover, ignore_errors=True)


def write_text(file: str | Path, text: str) -> None:
    """Write UTF-8, names as `path_text`, as `whole_file` does."""
    with whole_file(file) as partial:
        partial.write_text(text, encoding="utf-8", errors=NAMES)


def read_text(file: Path) -> str:
    """Text of a UTF-8 file, without a byte order mark.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}") from error


@contextmanager
def reading(file: Path, what: str) -> Iterator[None]:
    """Around the reading of ``file`` by a parser that raises whatever the bytes trip over.

    Raises:
        ConfigError: there is no such file.
        DataError: it is not ``what``, a noun with its article.
    """
    try:
        yield
    except RayIqaError:
        raise
    except FileNotFoundError as error:
        raise ConfigError(f"no file {file.absolute()}; it must be {what}") from error
    except Exception as error:
        raise DataError(f"{file} is not {what}: {error}") from error


def content_digest(files: Iterable[Path]) -> str:
    """16 hexadecimal digits that say what is in files, whatever they are called."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()[:16]


def writable_file(file: str | Path) -> Path:
    """``file``, after it was made sure, by writing beside it, that it can be written; its folder is made.

    Raises:
        OutputError: it cannot.
    """
    with _refused(file):
        target = _target(file)
        if target.is_file() or not target.exists():
            _probe(target.parent)
    return Path(file)


def writable_folder(folder: str | Path) -> Path:
    """``folder``, made where missing, after a file was written there and removed again.

    Raises:
        OutputError: that is not possible.
    """
    with _refused(folder):
        _require_path(folder)
        _probe(Path(folder))
    return Path(folder)


def _target(file: str | Path) -> Path:
    """Where the content of ``file`` lies or will lie."""
    _require_path(file)
    try:
        mode = os.stat(file).st_mode  # noqa: PTH116 - says what is wrong with a path, as opening it would
    except FileNotFoundError:
        mode = None
    target = Path(os.path.realpath(file))
    if mode is None:
        target.parent.mkdir(parents=True, exist_ok=True)
    elif target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    elif not os.access(file, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return target if mode is None or target.exists() else Path(file)  # the real path of a pipe is no path


def _require_path(place: str | Path) -> None:
    text = str(place)
    if not text or "\0" in text or _URL.match(text):
        raise OutputError(f"an output must be a path of the file system, got {text!r}")


def _probe(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f"{PARTIAL}{uuid4().hex}"
    try:
        with probe.open("xb") as stream:
            stream.write(bytes(4096))
            stream.flush()
            os.fsync(stream.fileno())
    finally:
        with suppress(OSError):
            probe.unlink()


def _replace(partial: Path, target: Path, model: os.stat_result) -> None:
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    with suppress(OSError):  # another owner, or a file system without permissions
        os.chown(partial, model.st_uid, model.st_gid)
    with suppress(OSError):
        partial.chmod(S_IMODE(model.st_mode))
    partial.replace(target)


@contextmanager
def _refused(place: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, RayIqaError):
            raise
        remedy = "free some space there or choose another place" if error.errno in _FULL else "choose another place"
        raise OutputError(
            f"{place} cannot be written: {os.strerror(error.errno) if error.errno else error}; {remedy}"
        ) from error
