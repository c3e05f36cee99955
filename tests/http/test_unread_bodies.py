"""Who has no key, or takes too long, takes nothing from those who have one: on a real socket, byte by byte."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import KEY, Noted, served
from fastapi import FastAPI
from starlette.types import Message

from ray_iqa.config.serve import AccessConfig, LimitsConfig
from ray_iqa.http.app import create_app
from ray_iqa.http.settings import Settings
from ray_iqa.serving.types import ModelCard, PictureScore

PATHS = ("/v1/score", "/v1/chat/completions", "/v1/batches", "/reward", "/v1/models", "/metrics", "/nowhere")
BODIES = (
    "Content-Length: 1000\n\n{not json",
    "Content-Length: 60000000\n\n{not json",
    "Expect: 100-continue\nContent-Length: 9\n\n",
    "Transfer-Encoding: chunked\n\n3e8\n{not json",
)
JSON = "Content-Type: application/json"


class Held:
    """A model that says who it is when it is told to, and counts who asks."""

    def __init__(self) -> None:
        self.num_asked, self.release = 0, Event()

    async def card(self) -> ModelCard:
        self.num_asked += 1
        while not self.release.is_set():
            await asyncio.sleep(0.01)
        return ModelCard.model_construct(id="light")

    async def score(self, images: Sequence[bytes]) -> list[PictureScore]:
        raise AssertionError(f"nobody sends a whole request, got {len(images)} images")


@pytest.fixture(scope="module")
def held() -> Held:
    return Held()


@pytest.fixture(scope="module")
def slow_app(keys_file: Path, held: Held) -> FastAPI:
    access = AccessConfig(keys_file=str(keys_file), requests_per_second=1000, burst=1000)
    limits = LimitsConfig(max_pending_requests=2, request_timeout_s=0.6, max_request_bytes=64_000_000)
    return create_app({"light": held}, access, Settings(limits), batches=Noted())


@pytest.fixture(scope="module")
def url(slow_app: FastAPI) -> Iterator[str]:
    with served(slow_app) as url:
        yield url


def _send(url: str, text: str) -> socket.socket:
    address = urlsplit(url)
    assert address.port is not None
    opened = socket.create_connection(("127.0.0.1", address.port), timeout=10)
    opened.sendall(text.replace("\n", "\r\n").encode())
    return opened


def _reply(opened: socket.socket) -> str:
    """All that comes until the other side closes."""
    with closing(opened):
        return b"".join(iter(lambda: opened.recv(65_536), b"")).decode("latin-1")  # some come compressed


@pytest.mark.parametrize("body", BODIES)
def test_without_a_key_no_body_is_awaited_and_no_slot_taken(url: str, body: str) -> None:
    began = time.monotonic()
    for path in PATHS:
        for key in ("", "Authorization: Bearer wrong\n", "X-API-Key: \xff\n"):
            start = f"POST {path} HTTP/1.1\nHost: x\n{JSON}\n{key}{body}"
            reply = _reply(_send(url, start)).lower()
            assert reply.startswith("http/1.1 401"), (path, reply)
            assert "connection: close" in reply
            assert "application/problem+json" in reply
    assert time.monotonic() - began < 0.5 * len(PATHS) * 3  # none of them waited for the deadline


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_that_a_public_route_has_no_use_for_is_not_read(url: str, method: str) -> None:
    for path in ("/", "/docs", "/docs/swagger-ui.css", "/livez", "/version", "/openapi.json"):
        reply = _reply(_send(url, f"{method} {path} HTTP/1.1\nHost: x\nContent-Length: 1000\n\nx")).lower()
        assert reply.startswith("http/1.1 200" if method == "GET" else "http/1.1 405"), (path, reply[:200])
        assert "connection: close" in reply


def test_a_keyed_body_that_comes_slowly_is_ended_at_the_deadline(url: str) -> None:
    start = f"POST /v1/score HTTP/1.1\nHost: x\nX-API-Key: {KEY}\n"
    form = "Content-Type: multipart/form-data; boundary=b"
    for kind, path, first in ((JSON, "/v1/score", "{"), (form, "/v1/score", "--b"), (JSON, "/v1/batches", "{")):
        began = time.monotonic()
        slow = [
            _send(url, start.replace("/v1/score", path) + f"{kind}\nContent-Length: 1000\n\n{first}") for _ in range(2)
        ]
        time.sleep(0.1)
        assert httpx.post(f"{url}v1/score", headers={"X-API-Key": KEY}, json={}).status_code == 503
        for opened in slow:
            reply = _reply(opened)
            assert reply.startswith("HTTP/1.1 408"), reply
            assert "urn:ray-iqa:problem:slow-body" in reply
        assert 0.5 < time.monotonic() - began < 5
    assert httpx.post(f"{url}v1/score", headers={"X-API-Key": KEY}, json={}).status_code == 422


def test_a_known_caller_that_is_refused_unread_keeps_the_connection(url: str) -> None:
    with httpx.Client(base_url=url, headers={"X-API-Key": KEY}) as client:
        for path, status in (("/nowhere", 404), ("/v1/models", 405), ("/v1/score", 415)):
            reply = client.post(path, content=b"x" * 2_000_000, headers={"Content-Type": "text/plain"})
            assert (reply.status_code, reply.headers.get("connection")) == (status, None)
        large = client.post("/v1/score", content=b"x" * 64_000_001)
        assert (large.status_code, large.headers["connection"]) == (413, "close")


def test_all_who_ask_whether_it_is_ready_ask_the_models_once(url: str, held: Held) -> None:
    waiting = [_send(url, "GET /readyz HTTP/1.1\nHost: x\nConnection: close\n\n") for _ in range(20)]
    time.sleep(0.2)
    assert held.num_asked == 1
    held.release.set()
    assert {_reply(opened).partition("\r\n")[0] for opened in waiting} == {"HTTP/1.1 200 OK"}


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_the_key_is_looked_at_before_the_first_byte(slow_app: FastAPI, name: str) -> None:
    """As ASGI: nothing is received at all, whatever the path, and twelve of them leave every slot free."""

    async def ask(path: str) -> int:
        sent: list[Message] = []

        async def receive() -> Message:
            raise AssertionError("a body was asked for")

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"content-length", b"9"), (b"content-type", b"application/json"), (name.encode(), b"Bearer no")]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        await slow_app(scope, receive, send)
        return int(sent[0]["status"])

    async def run() -> list[int]:
        return await asyncio.gather(*(ask(path) for path in PATHS * 12))

    assert set(asyncio.run(run())) == {401}


def test_a_path_below_a_prefix_is_as_public_as_without(slow_app: FastAPI) -> None:
    async def run(path: str) -> int:
        transport = httpx.ASGITransport(slow_app, root_path="/iqa")
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return (await client.get(path)).status_code

    statuses: Callable[[str], int] = lambda path: asyncio.run(run(path))  # noqa: E731
    assert (statuses("/iqa/livez"), statuses("/iqa/v1/models"), statuses("/v1/models")) == (200, 401, 401)
