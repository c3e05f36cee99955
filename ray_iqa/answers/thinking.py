"""Which part of an answer is thought and which is said, while it is still being written."""

_OPEN, _CLOSE = "<think>", "</think>"


def split_thinking(text: str, *, complete: bool) -> tuple[str, str]:
    """Reasoning and content of an answer so far; both only grow as ``text`` grows.

    Args:
        text: the answer from its beginning.
        complete: nothing follows; otherwise an end that may become a tag belongs to neither part yet.
    """
    start = text.lstrip()
    if not complete and _OPEN.startswith(start[: len(_OPEN)]) and len(start) < len(_OPEN):
        return "", ""
    if not start.startswith(_OPEN):
        return "", text
    thought, closed, said = start[len(_OPEN) :].partition(_CLOSE)
    if closed:
        return thought, said.lstrip()
    return thought if complete else thought[: len(thought) - _tag_begun(thought)], ""


def _tag_begun(text: str) -> int:
    """Characters at the end of ``text`` that may be the beginning of the closing tag."""
    return next((size for size in range(len(_CLOSE) - 1, 0, -1) if text.endswith(_CLOSE[:size])), 0)
