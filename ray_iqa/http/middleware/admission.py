"""What one request may take from the service: a place among those that are answered, bytes, values and seconds."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ray_iqa.config.serve import LimitsConfig
from ray_iqa.http.middleware.guard import Body
from ray_iqa.http.problems import Problem
from ray_iqa.http.settings import Settings

FULL_HEADER = "X-Service-Full"
_MAX_SEPARATORS = 20_000


def full() -> Problem:
    """Refusal of an unread body; unlike a busy model's it holds for whatever is asked, which the header says."""
    headers = {"Retry-After": "1", FULL_HEADER: "1"}
    return Problem(503, "busy", "this service has as many requests as it can take", headers=headers)


class Admission:
    """ASGI middleware inside `Guard`: bounds what waiting bodies take, and makes a refusal cheap: the body is not read.

    Of each request it bounds the body, while it is read, and the time until the answer begins.

    Args:
        app: what reads and answers.
        settings: read at every request.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._num_pending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits, takes_place = self._settings.limits, scope["method"] not in ("GET", "HEAD")
        if takes_place and self._num_pending >= limits.max_pending_requests:
            raise full()
        self._num_pending += takes_place
        try:
            await self._answer(scope, receive, send, limits)
        finally:
            self._num_pending -= takes_place

    async def _answer(self, scope: Scope, receive: Receive, send: Send, limits: LimitsConfig) -> None:
        headers, body = Headers(scope=scope), scope["state"]["body"]
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > limits.max_request_bytes:
            raise _too_large(limits)
        is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        deadline = asyncio.timeout(limits.request_timeout_s)

        async def send_in_time(message: Message) -> None:
            deadline.reschedule(None)  # what streams its answer has a deadline of its own
            await send(message)

        try:
            async with deadline:
                await self._app(scope, _bounded(receive, body, limits, is_form=is_form), send_in_time)
        except TimeoutError as error:
            if body.is_read:
                raise
            detail = f"the body must have come within {limits.request_timeout_s:g} s; send fewer images at a time"
            raise Problem(408, "slow-body", detail) from error


def _bounded(receive: Receive, body: Body, limits: LimitsConfig, *, is_form: bool) -> Receive:
    """Ends a body at its limits: JSON becomes objects a hundred times as large, the parser of forms has its own."""
    num_left = most = _MAX_SEPARATORS + limits.max_images

    async def receive_bounded() -> Message:
        nonlocal num_left
        message = await receive()
        if body.num_bytes > limits.max_request_bytes:
            raise _too_large(limits)
        if not is_form:
            num_left -= sum(message.get("body", b"").count(mark) for mark in (b",", b"[", b"{"))
        if num_left < 0:
            raise Problem(413, "too-many-values", f"a body may have at most {most} commas and opening brackets")
        return message

    return receive_bounded


def _too_large(limits: LimitsConfig) -> Problem:
    detail = f"a request may have at most {limits.max_request_bytes} bytes; send fewer images at a time"
    return Problem(413, "request-too-large", detail, headers={"Connection": "close"})
