"""Server-sent events: an answer that begins before it is whole."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from fastapi.responses import StreamingResponse

from ray_iqa.http.problems import Problem, as_problem

_HEARTBEAT_S = 15.0
DONE = "data: [DONE]\n\n"
_EVENT = {
    "type": "object",
    "properties": {"data": {"type": "string"}, "event": {"type": "string"}},
    "required": ["data"],
}


def streamed(description: str) -> dict[str, Any]:  # Any: FastAPI's own dictionary
    """Entry of an OpenAPI operation for an answer that is a stream."""
    return {"description": description, "content": {"text/event-stream": {"itemSchema": _EVENT}}}


def event(data: str, name: str | None = None) -> str:
    """One event; ``data`` is JSON, so it has no line breaks."""
    return f"data: {data}\n\n" if name is None else f"event: {name}\ndata: {data}\n\n"


async def event_stream(
    events: AsyncGenerator[str, None], timeout_s: float, failed: Callable[[Problem], str]
) -> StreamingResponse:
    """A response of ``events``, which are closed when the client goes away.

    Waits for the first one, so that what goes wrong before it is answered as any other request.

    Args:
        events: formatted by `event`.
        timeout_s: for all of them.
        failed: event of a problem after the first one; it is the last.
    """
    deadline = time.monotonic() + timeout_s
    async with asyncio.timeout(timeout_s):
        first = await anext(events)
    response = StreamingResponse(_chained(first, events, deadline, failed), media_type="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"  # proxies must not collect the events
    return response


async def _chained(
    first: str, events: AsyncGenerator[str, None], deadline: float, failed: Callable[[Problem], str]
) -> AsyncIterator[str]:
    pending = asyncio.ensure_future(anext(events))
    try:
        yield first
        while True:
            left_s = deadline - time.monotonic()
            done, _ = await asyncio.wait({pending}, timeout=max(0.0, min(_HEARTBEAT_S, left_s)))
            if done:
                yield pending.result()
                pending = asyncio.ensure_future(anext(events))
            elif left_s <= _HEARTBEAT_S:
                raise TimeoutError  # noqa: TRY301 - becomes an event below
            else:
                yield ": still at it\n\n"
    except StopAsyncIteration:
        return
    except Exception as error:  # noqa: BLE001 - too late for a status, so it is said in an event
        yield failed(as_problem(error))
    finally:
        pending.cancel()
        await asyncio.wait({pending})
        await events.aclose()
