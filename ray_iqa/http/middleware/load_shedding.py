"""In front of a service: bodies are refused where it costs least once it is full, and strangers stand in line."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ray_iqa.http.auth.keys import hash_of
from ray_iqa.http.middleware.admission import FULL_HEADER, full
from ray_iqa.http.middleware.guard import SAFE_HEADERS, Body, request_id_of
from ray_iqa.http.problems import Problem

MAX_HEAD_BYTES = 32_768
_MAX_INSIDE, _MAX_IN_LINE, _MAX_KNOWN = 16, 1000, 10_000
_MAX_READERS = 4  # of files, which are larger than what a connection holds of an answer that nobody reads
_BELIEVED_S = 0.5
_BAD_HEAD = Problem(400, "bad-head", f"path and headers must be ASCII and have at most {MAX_HEAD_BYTES} bytes")


class Doorkeeper:
    """ASGI middleware before `Admission`, on the other side of whatever carries requests to it.

    When the service refuses a body as one too many, as many as were inside before it are as many as fit: only when one
    of them has been answered does the next one pass. What the service said is forgotten after half a second, since
    others may have left through another door, or a replica may have come.

    Whoever has not yet been served with the key that comes now (or without one, where none is needed) is a stranger. A
    few of them are inside at a time, the others wait unread, so that those who are known never wait behind them. Each
    connection has one answer for a stranger. Files have a line of their own, since who does not read one stays inside.

    Args:
        app: carries requests to the service; it must lead to nothing else.
        clock: seconds, never going back.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._clock = app, clock
        self._num_inside = 0
        self._num_fitting, self._until = math.inf, 0.0
        self._known = set[str]()
        self._strangers = {False: asyncio.Semaphore(_MAX_INSIDE), True: asyncio.Semaphore(_MAX_READERS)}
        self._num_strangers = Counter[bool]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})  # nothing behind the door speaks it
        elif scope["path"] in ("/-/healthz", "/-/routes"):  # of the proxy itself
            await self._app(scope, receive, send)
        elif not _is_plain(scope):
            await _refuse(scope, receive, send, _BAD_HEAD)
        elif (caller := _caller(scope)) in self._known:
            await self._admit(scope, receive, send, caller)
        elif self._num_strangers[is_file := "/docs/" in scope["path"]] >= _MAX_IN_LINE:
            await _refuse(scope, receive, send, full())
        else:
            self._num_strangers[is_file] += 1
            try:
                async with self._strangers[is_file]:
                    await self._admit(scope, receive, send, caller)
            finally:
                self._num_strangers[is_file] -= 1

    async def _admit(self, scope: Scope, receive: Receive, send: Send, caller: str) -> None:
        has_body = scope["method"] not in ("GET", "HEAD")
        if self._clock() >= self._until:
            self._num_fitting = math.inf
        if has_body and self._num_inside >= self._num_fitting:
            await _refuse(scope, receive, send, full())
            return
        num_before = self._num_inside

        async def listen(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if FULL_HEADER in headers:
                    self._believe(max(num_before, self._num_inside - 1))
                if has_body:
                    self._learn(caller, message["status"])
                if caller not in self._known:
                    headers["Connection"] = "close"
            await send(message)

        self._num_inside += has_body
        try:
            await self._app(scope, receive, listen)
        finally:
            self._num_inside -= has_body

    def _learn(self, caller: str, status: int) -> None:
        """What is not public and was answered well was asked with a good key; public routes take no bodies."""
        if status == 401:
            self._known.discard(caller)
        elif status < 300:
            self._known.add(caller)
        if len(self._known) > _MAX_KNOWN:
            self._known.pop()

    def _believe(self, num_fitting: int) -> None:
        """The smallest number that a refusal had before it.

        That is counted as it came and as it was refused, whichever is more: bodies may reach the service in another
        order than they came here, and one that was inside may have been answered since.
        """
        if self._num_fitting == math.inf:
            self._until = self._clock() + _BELIEVED_S
        self._num_fitting = min(self._num_fitting, num_fitting)


def _caller(scope: Scope) -> str:
    headers = Headers(scope=scope)
    return hash_of(f"{headers.get('authorization')}\n{headers.get('x-api-key')}")


def _is_plain(scope: Scope) -> bool:
    """Ray would carry all of it to the service, and Serve reads some headers as UTF-8."""
    headers = b"".join(part for pair in scope["headers"] for part in pair)
    return headers.isascii() and len(headers) + len(scope["path"]) + len(scope["query_string"]) <= MAX_HEAD_BYTES


async def _refuse(scope: Scope, receive: Receive, send: Send, problem: Problem) -> None:
    request_id = request_id_of(scope)
    scope.setdefault("state", {})["problem"] = problem.name
    response = problem.response(request_id)
    closing = {} if Body(scope, receive).is_read else {"Connection": "close"}
    response.headers.update(SAFE_HEADERS | closing | {"X-Request-Id": request_id})
    await response(scope, receive, send)
