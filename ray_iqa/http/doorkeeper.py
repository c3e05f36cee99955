"""Refuses bodies in front of a service that has just said that it is full, where a refusal costs least."""

import math
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ray_iqa.http.admission import FULL_HEADER, full
from ray_iqa.http.guard import SAFE_HEADERS, request_id_of

_BELIEVED_S = 0.5
_FULL = FULL_HEADER.lower().encode()


class Doorkeeper:
    """ASGI middleware before `Admission`, on the other side of whatever carries requests to it.

    When the service refuses a body as one too many, as many as were inside before it are as many as fit: only when one
    of them has been answered does the next one pass. What the service said is forgotten after half a second, since
    others may have left through another door, or a replica may have come.

    Args:
        app: carries requests to the service; it must lead to nothing else.
        clock: seconds, never going back.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._clock = app, clock
        self._num_inside = 0
        self._num_fitting, self._until = math.inf, 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        if self._clock() >= self._until:
            self._num_fitting = math.inf
        if self._num_inside >= self._num_fitting:
            await _refuse(scope, receive, send)
            return
        num_before = self._num_inside

        async def listen(message: Message) -> None:
            if message["type"] == "http.response.start" and _FULL in (name.lower() for name, _ in message["headers"]):
                self._believe(max(num_before, self._num_inside - 1))
            await send(message)

        self._num_inside += 1
        try:
            await self._app(scope, receive, listen)
        finally:
            self._num_inside -= 1

    def _believe(self, num_fitting: int) -> None:
        """The smallest number that a refusal had before it.

        That is counted as it came and as it was refused, whichever is more: bodies may reach the service in another
        order than they came here, and one that was inside may have been answered since.
        """
        if self._num_fitting == math.inf:
            self._until = self._clock() + _BELIEVED_S
        self._num_fitting = min(self._num_fitting, num_fitting)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    problem, request_id = full(), request_id_of(scope)
    scope.setdefault("state", {})["problem"] = problem.name
    response = problem.response(request_id)
    response.headers.update(SAFE_HEADERS | {"X-Request-Id": request_id})
    await response(scope, receive, send)
