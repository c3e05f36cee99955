"""Who may ask: a known key within its rate, or anybody on this machine when the service runs without keys."""

import ipaddress
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from ray_iqa.http.auth.keys import KeyRing
from ray_iqa.http.auth.rate_limit import RateLimit
from ray_iqa.http.problems import Problem

if TYPE_CHECKING:
    from starlette.datastructures import URL


class Access:
    """ASGI middleware: lets a request pass, or ends it before any of its body is read.

    Args:
        app: finds the name of the key in the scope's state, as ``key_name``.
        keys: those that may ask; None lets this machine ask.
        rate: how often each of them may.
        is_public: whether a path needs no key.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing | None, rate: RateLimit, is_public: Callable[[str], bool]) -> None:
        self._app, self._keys, self._rate, self._is_public = app, keys, rate, is_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            Problem: 401, 403 or 429.
        """
        if scope["type"] == "http" and not self._is_public(scope["path"].removeprefix(scope.get("root_path", ""))):
            self._admit(HTTPConnection(scope))
        await self._app(scope, receive, send)

    def _admit(self, request: HTTPConnection) -> None:
        """Authenticate, then charge."""
        request.state.key_name = name = _local(request) if self._keys is None else _known(request, self._keys)
        if (wait_s := self._rate.wait_s(name)) > 0:
            retry_after = {"Retry-After": str(math.ceil(wait_s))}
            raise Problem(429, "rate-limited", f"too many requests; try again in {wait_s:.1f} s", headers=retry_after)


def _known(request: HTTPConnection, keys: KeyRing) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    key = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    name = keys.name_of(key) if key else None
    if name is None:
        raise Problem(
            401,
            "unauthorized",
            "send a valid API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return name


def _local(request: HTTPConnection) -> str:
    """Without keys both ends must be this machine: the peer by its address, the service by the name it was called.

    The second check keeps web pages from reaching it through a name of their own that resolves to 127.0.0.1.
    """
    peer = request.client.host if request.client else ""
    if not (_is_loopback(peer) and _is_loopback(_host(request.url))):
        raise Problem(403, "loopback-only", "this service runs without API keys and answers its own machine only")
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.headers.get('host', '')}":
        raise Problem(403, "foreign-origin", "this service runs without API keys and answers its own page only")
    return "this machine"


def _host(url: "URL") -> str:
    try:
        return url.hostname or ""
    except ValueError:  # a Host header that is none
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
