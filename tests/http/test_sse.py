import asyncio
from collections.abc import AsyncGenerator

import pytest

from ray_iqa.http import sse
from ray_iqa.http.problems import Problem
from ray_iqa.serving.types import BusyError


class Source:
    """Events of a list; an exception in it is raised, a number waited for. Notes whether it was closed."""

    def __init__(self, *steps: str | float | Exception) -> None:
        self._steps, self.is_closed = steps, False

    async def events(self) -> AsyncGenerator[str, None]:
        try:
            for step in self._steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, str):
                    yield step
                else:
                    await asyncio.sleep(step)
        finally:
            self.is_closed = True


def _failed(problem: Problem) -> str:
    return f"failed: {problem.name}"


async def _received(source: Source, timeout_s: float = 5.0, most: int = 100) -> list[str]:
    response = await sse.event_stream(source.events(), timeout_s, _failed)
    received: list[str] = []
    chunks = response.body_iterator
    async for chunk in chunks:
        received.append(str(chunk))
        if len(received) == most:
            await chunks.aclose()
            break
    return received


def test_events_pass_and_silence_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_HEARTBEAT_S", 0.05)
    source = Source("a", 0.12, "b")
    assert asyncio.run(_received(source)) == ["a", ": still at it\n\n", ": still at it\n\n", "b"]
    assert source.is_closed


def test_trouble_before_the_first_event_is_an_error_and_later_an_event() -> None:
    with pytest.raises(BusyError):
        asyncio.run(_received(Source(BusyError("full"))))
    with pytest.raises(TimeoutError):
        asyncio.run(_received(Source(9.0, "late"), timeout_s=0.05))
    assert asyncio.run(_received(Source("a", BusyError("full")))) == ["a", "failed: busy"]
    assert asyncio.run(_received(Source("a", 9.0, "late"), timeout_s=0.05)) == ["a", "failed: timeout"]


def test_who_stops_listening_closes_the_source() -> None:
    for most in (1, 2):
        source = Source("a", "b", 9.0, "late")
        assert len(asyncio.run(_received(source, most=most))) == most
        assert source.is_closed
