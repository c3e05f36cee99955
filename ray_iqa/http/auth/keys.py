"""API keys: kept hashed in a file, compared in constant time, those that are in it now.

Keys are 256 random bits, so a single SHA-256 protects them: there is nothing to guess, and a slow hash would only
make every request slow.
"""

import codecs
import hashlib
import hmac
import logging
import re
import secrets
from pathlib import Path
from typing import NamedTuple

from ray_iqa.errors import ConfigError

logger = logging.getLogger(__name__)
_LINE = re.compile(r"([0-9a-f]{64})\s+(\S+)")


class KeyRing:
    """Names of the keys in a file, which is read again at every use: its times and size would miss some changes.

    Raises:
        ConfigError: the file cannot be read or holds no key.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._keys = _Keys({}, [])
        self._content: bytes | str | None = None
        self._reload()
        if not self._keys.names:
            raise ConfigError(
                f"access.keys_file must hold at least one key, which `ray-iqa serve key NAME` makes; {path}: "
                f"{'; '.join(self._keys.problems)}"
            )

    @property
    def problems(self) -> list[str]:
        """What is wrong with the file now. A line that is no key counts for nothing; without any key nobody may ask."""
        self._reload()
        return self._keys.problems

    def name_of(self, key: str) -> str | None:
        """Name of a key that is in the file now, or None."""
        self._reload()
        given = hash_of(key)
        match = None
        for known, name in self._keys.names.items():  # all of them: the time must not tell which one is near
            if hmac.compare_digest(known, given):
                match = name
        return match

    def _reload(self) -> None:
        try:
            content: bytes | str = self._path.read_bytes()
        except (OSError, ValueError) as error:
            content = f"it cannot be read ({type(error).__name__})"
        if content != self._content:
            self._content, self._keys = content, _keys_in(content)
            for problem in self._keys.problems:
                logger.error("access.keys_file: %s", problem)


def new_key() -> str:
    """A fresh random key."""
    return f"iqa_{secrets.token_urlsafe(32)}"


def hash_of(key: str) -> str:
    """What is kept of a key: SHA-256, in hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class _Keys(NamedTuple):
    names: dict[str, str]  # by hash
    problems: list[str]


def _keys_in(content: bytes | str) -> _Keys:
    """Keys of a file's content, or none of one that has a reason in its place."""
    if isinstance(content, str):
        return _Keys({}, [content])
    keys = _Keys({}, [])
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
        text = line.decode(errors="replace").strip()
        match = _LINE.fullmatch(text)
        if not text or text.startswith("#"):
            continue
        if match is None:
            keys.problems.append(f"line {number} is not `<sha256 in hex> <name>`, so it is no key")
        elif match[1] in keys.names:
            keys.problems.append(f"line {number} has the key of a line before it, whose name counts")
        else:
            keys.names[match[1]] = match[2]
    if not keys.names:
        keys.problems.append("it holds no key")
    return keys
