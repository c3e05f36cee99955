"""API keys: kept hashed in a file, compared in constant time, reloaded when the file changes.

Keys are 256 random bits, so a single SHA-256 protects them: there is nothing to guess, and a slow hash would only
make every request slow.
"""

import hashlib
import hmac
import logging
import re
import secrets
from pathlib import Path

from ray_iqa.errors import ConfigError

logger = logging.getLogger(__name__)
_LINE = re.compile(r"([0-9a-f]{64})\s+(\S+)")


class KeyRing:
    """Names of the keys in a file.

    Raises:
        ConfigError: the file is missing, empty or not of lines `<sha256> <name>`.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._stamp = self._now()
        self._names = _read(self._path)

    def name_of(self, key: str) -> str | None:
        """Name of a key, or None; a change of the file counts from the next call.

        A file that has become unreadable or malformed keeps the old keys and is logged.
        """
        stamp = self._now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._names = _read(self._path)
            except ConfigError as error:
                logger.error("API keys not reloaded: %s", error)  # noqa: TRY400 - the message says it all
        given = hash_of(key)
        found = None
        for known, name in self._names.items():  # all of them: the time must not tell which one is near
            if hmac.compare_digest(known, given):
                found = name
        return found

    def _now(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def new_key() -> str:
    """A fresh random key."""
    return f"iqa_{secrets.token_urlsafe(32)}"


def hash_of(key: str) -> str:
    """What is kept of a key: SHA-256, in hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"access.keys_file must be a readable text file, got {str(path)!r}: {error}") from error
    names = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ConfigError(
                f"{path} line {number}: a key must be `<sha256 in hex> <name>`; `ray-iqa serve key` makes one"
            )
        names[match[1]] = match[2]
    if not names:
        raise ConfigError(f"{path} must hold at least one key; `ray-iqa serve key NAME` makes one")
    return names
