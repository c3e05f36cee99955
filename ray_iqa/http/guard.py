"""The outermost layer of the endpoint: request id, size of the body, safe headers, no naked errors."""

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ray_iqa.http.metrics import HttpMetrics
from ray_iqa.http.problems import Problem, as_problem
from ray_iqa.http.settings import Settings

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CLIENT_GONE = 499
FULL_HEADER = "X-Service-Full"
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def request_id_of(scope: Scope) -> str:
    """The id that came with a request, or a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def full() -> Problem:
    """Refusal of an unread body; unlike a busy model's it holds for whatever is asked, which the header says."""
    headers = {"Retry-After": "1", FULL_HEADER: "1"}
    return Problem(503, "busy", "this service has as many requests as it can take", headers=headers)


class Guard:
    """ASGI middleware around the whole application.

    Args:
        app: what is guarded.
        settings: read at every request.
        metrics: told about every answer.
        names_requests: False behind a proxy that puts the request id on answers itself.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: HttpMetrics, *, names_requests: bool) -> None:
        self._app, self._settings, self._metrics, self._names_requests = app, settings, metrics, names_requests
        self._num_pending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        body = _Body(receive, self._settings.limits.max_request_bytes)
        began, status = time.perf_counter(), 0

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                named = {"X-Request-Id": request_id} if self._names_requests else {}
                for name, value in (SAFE_HEADERS | named).items():
                    out.setdefault(name, value)
            await send(message)

        try:
            _check_announced(Headers(scope=scope), body.max_bytes)
            with self._admitted(scope["method"]):
                await self._app(scope, body.receive, send_safely)
        except Exception as error:  # noqa: BLE001 - last resort, so that nothing but problem documents leaves
            problem = as_problem(error)
            scope["state"]["problem"] = problem.name
            if not status:
                await problem.response(request_id)(scope, receive, send_safely)
        finally:
            self._metrics.observe(scope, status or _CLIENT_GONE, body.num_bytes, time.perf_counter() - began)

    @contextmanager
    def _admitted(self, method: str) -> Iterator[None]:
        """Bounds what waiting bodies take, and makes a refusal cheap: the body is not read."""
        if method in ("GET", "HEAD"):
            yield
            return
        if self._num_pending >= self._settings.limits.max_pending_requests:
            raise full()
        self._num_pending += 1
        try:
            yield
        finally:
            self._num_pending -= 1


class _Body:
    """Counts a body while it is read."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive, self.max_bytes, self.num_bytes = receive, max_bytes, 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.num_bytes += len(message.get("body", b""))
        if self.num_bytes > self.max_bytes:
            raise _too_large(self.max_bytes)
        return message


def _check_announced(headers: Headers, max_bytes: int) -> None:
    announced = headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:20]) > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> Problem:
    return Problem(
        413,
        "request-too-large",
        f"a request may have at most {max_bytes} bytes; send fewer images at a time",
        headers={"Connection": "close"},  # the rest of the body is not read
    )
