"""Names that are not UTF-8 as text, and back."""

import io
import os
from pathlib import Path

import pytest

from ray_iqa.path_text import NAMES, path_text, text_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"caf\xc3\xa9.jpg", "caf\u00e9.jpg"),
        (b"caf\xe9.jpg", r"caf\xe9.jpg"),
        (b"\xff/\x80\xfe.png", r"\xff/\x80\xfe.png"),
        (b"back\\slash", "back\\slash"),
        (rb"called\xe9", r"called\xe9"),
    ],
)
def test_bytes_that_are_not_utf8_are_written_as_escapes(name: bytes, text: str) -> None:
    assert path_text(os.fsdecode(name)) == path_text(path_text(os.fsdecode(name))) == text
    text.encode()


def test_the_way_back_finds_each_of_names_that_look_alike(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/d\xe9"
    os.mkdir(folder)  # noqa: PTH102 - bytes
    for name in (b"a\xe9", rb"b\xe9", b"c"):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(name)
    for name in (b"a\xe9", rb"b\xe9", b"c"):
        text = path_text(os.fsdecode(folder + b"/" + name))
        assert text.isascii()
        assert Path(text_path(text)).read_bytes() == name
    assert text_path(r"new\xe9") == "new\udce9"
    assert text_path(r"C:\x11\new") == r"C:\x11\new"


def test_a_stream_takes_every_name_and_every_character() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=NAMES)
    stream.write("caf\udce9 \ud800 \u4e2d ok")
    stream.flush()
    assert stream.buffer.getvalue() == rb"caf\xe9 \ud800 \u4e2d ok"  # type: ignore[attr-defined]
