"""The outermost layer of the endpoint: request id, safe headers, no naked errors, no connection with half a body."""

import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ray_iqa.http.metrics import HttpMetrics
from ray_iqa.http.problems import as_problem

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CLIENT_GONE = 499
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


class Body:
    """Counts a body while it is read, and knows whether there is more of it."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = Headers(scope=scope)
        self._receive, self.num_bytes = receive, 0
        self.is_read = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers

    async def receive(self) -> Message:
        """See ASGI."""
        message = await self._receive()
        self.num_bytes += len(message.get("body", b""))
        self.is_read = self.is_read or not message.get("more_body", False)
        return message


class Guard:
    """ASGI middleware around the whole application.

    An answer in the middle of a body closes the connection, and so does one to a stranger before it: the rest is never
    read. A known caller that is refused unread keeps it, since under load that is common and costs a new connection.

    Args:
        app: what is guarded; it finds the request's id and its `Body` in the scope's state.
        metrics: told about every answer.
        names_requests: False behind a proxy that puts the request id on answers itself.
    """

    def __init__(self, app: ASGIApp, metrics: HttpMetrics, *, names_requests: bool) -> None:
        self._app, self._metrics, self._names_requests = app, metrics, names_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, body = request_id_of(scope), Body(scope, receive)
        scope.setdefault("state", {}).update(request_id=request_id, body=body)
        began, status = time.perf_counter(), 0

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                named = {"X-Request-Id": request_id} if self._names_requests else {}
                is_kept = body.is_read or (body.num_bytes == 0 and "key_name" in scope["state"])
                for name, value in (SAFE_HEADERS | named | ({} if is_kept else {"Connection": "close"})).items():
                    out.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, body.receive, send_safely)
        except Exception as error:  # noqa: BLE001 - last resort, so that nothing but problem documents leaves
            problem = as_problem(error)
            scope["state"]["problem"] = problem.name
            if not status:
                await problem.response(request_id)(scope, receive, send_safely)
        finally:
            self._metrics.observe(scope, status or _CLIENT_GONE, body.num_bytes, time.perf_counter() - began)
