"""Pictures from URLs, where a service allows some hosts: nothing of its own network can be reached this way.

A name is resolved once per connection, all its addresses are checked, and the connection goes to a checked address, so
a resolver that changes its mind changes nothing. Redirects are followed by hand, each checked like the first URL.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from ray_iqa.config.serve import LimitsConfig
from ray_iqa.http.problems import Problem

Resolve = Callable[[str], Awaitable[list[str]]]
_MAX_REDIRECTS = 3
_REDIRECTS = {301, 302, 303, 307, 308}
_UNICAST_V6 = ipaddress.ip_network("2000::/3")  # outside lie local addresses and wrappings of IPv4 ones


class Fetcher:
    """Fetches over https from allowed hosts with public addresses.

    Args:
        resolve: addresses of a host name.
        backend: opens connections to addresses.
        trust: certificates; the system's when left out.
    """

    def __init__(
        self,
        resolve: Resolve | None = None,
        backend: httpcore.AsyncNetworkBackend | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._backend = _CheckedBackend(resolve or _system_addresses, backend or httpcore.AnyIOBackend())
        self._trust = trust

    async def fetch(self, url: str, limits: LimitsConfig, pointer: str) -> bytes:
        """Content behind ``url``, at most ``limits.max_image_bytes`` of it within ``limits.fetch_timeout_s``.

        Raises:
            Problem: 403 the URL, or one it redirects to, is not allowed; 413 too large; 422 it cannot be fetched.
        """
        # One pool per picture: a connection is never shared between hosts, and none outlives its request. httpcore
        # itself knows nothing of proxies in the environment.
        try:
            async with (
                asyncio.timeout(limits.fetch_timeout_s),
                httpcore.AsyncConnectionPool(ssl_context=self._trust, network_backend=self._backend) as pool,
            ):
                return await _follow(pool, url, limits)
        except TimeoutError as error:
            detail = f"fetching took longer than {limits.fetch_timeout_s:g} s"
            raise Problem(422, "cannot-fetch", detail, pointer=pointer) from error
        except (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise Problem(422, "cannot-fetch", "the host does not answer as a web server", pointer=pointer) from error
        except Problem as problem:
            problem.pointer = pointer
            raise


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only; TLS still asks for the name."""

    def __init__(self, resolve: Resolve, backend: httpcore.AsyncNetworkBackend) -> None:
        self._resolve, self._backend = resolve, backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host)
        if not addresses or not all(_is_public(address) for address in addresses):
            raise _not_allowed("the host has no public address")
        return await self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    async def connect_unix_socket(self, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        raise _not_allowed("sockets of this machine are not fetched from")

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


async def _follow(pool: httpcore.AsyncConnectionPool, url: str, limits: LimitsConfig) -> bytes:
    for _ in range(_MAX_REDIRECTS + 1):
        _check_url(url, limits.fetch_hosts)
        content, location = await _get(pool, url, limits.max_image_bytes)
        if location is None:
            return content
        try:
            url = urljoin(url, location)
        except ValueError as error:
            raise _not_allowed("it redirects to what is no URL") from error
    raise Problem(422, "cannot-fetch", f"more than {_MAX_REDIRECTS} redirects")


async def _get(pool: httpcore.AsyncConnectionPool, url: str, max_bytes: int) -> tuple[bytes, str | None]:
    """Content of an answer, or where it redirects to."""
    headers = [("Accept", "image/*"), ("User-Agent", "ray-iqa")]
    async with pool.stream("GET", url, headers=headers) as response:
        if response.status in _REDIRECTS:
            locations = [value for name, value in response.headers if name.lower() == b"location"]
            if not locations:
                raise Problem(422, "cannot-fetch", "a redirect leads nowhere")
            return b"", locations[0].decode("latin-1")
        if response.status != 200:
            raise Problem(422, "cannot-fetch", f"the host answered with status {response.status}")
        content = bytearray()
        async for chunk in response.aiter_stream():
            content += chunk
            if len(content) > max_bytes:
                raise Problem(413, "image-too-large", f"an image may have at most {max_bytes} bytes")
        return bytes(content), None


def _check_url(url: str, allowed_hosts: Iterable[str]) -> None:
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise _not_allowed("its characters must be escaped")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _not_allowed("it is no URL") from error
    if parts.scheme != "https" or port not in (None, 443):
        raise _not_allowed("it must be https on port 443")
    if parts.username is not None or parts.password is not None:
        raise _not_allowed("it must not hold a user name or password")
    host = (parts.hostname or "").removesuffix(".").lower()
    if not any(host == each or (each.startswith("*.") and host.endswith(each[1:])) for each in allowed_hosts):
        raise _not_allowed("its host is not on this service's list")


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return address in _UNICAST_V6 and address.sixtofour is None and address.teredo is None


async def _system_addresses(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _not_allowed(reason: str) -> Problem:
    return Problem(403, "url-not-allowed", f"this URL is not fetched: {reason}")
