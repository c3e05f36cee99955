r"""Paths as text that can be written anywhere: a byte of a file name that is not UTF-8 reads ``\xe9``.

Linux takes any bytes for a name; tables, JSON and terminals do not. Inside the program a picture's path has this
form, and only what opens the file goes back to the bytes.
"""

import codecs
import os
import re
from pathlib import Path

NAMES = "ray-iqa-names"
"""For ``errors`` of a text stream: writes every name, in this form."""
_ESCAPE = re.compile(r"\\x([89a-f][0-9a-f])")


def path_text(path: str | Path) -> str:
    """A path as text; one that is UTF-8 stays as it is."""
    return str(path).encode("utf-8", NAMES).decode("utf-8")


def text_path(text: str | Path) -> str:
    """The path that `path_text` wrote, for opening; a name that has the four characters themselves is found."""
    parts = str(text).split("/")
    for place, part in enumerate(parts if "\\x" in str(text) else ()):
        if not os.path.lexists("/".join(parts[: place + 1])):
            parts[place] = _ESCAPE.sub(lambda found: chr(0xDC00 + int(found[1], 16)), part)
    return "/".join(parts)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError), "of text that is written"
    wrong = error.object[error.start : error.end]
    return "".join(_escape(character) for character in wrong), error.end


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python holds a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode()


codecs.register_error(NAMES, _escaped)
