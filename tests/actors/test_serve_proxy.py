"""How Serve's proxies speak HTTP: whoever sends headers without end, or does not read, ends alone."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from actors import serve_proxy
from actors.serve_proxy import Connection, middlewares

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
SIZE = 20_000_000
PATIENCE_S = 1.0
ended: list[float] = []


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers the size of a body, sends 20 MB, or refuses a body unread."""
    if scope["path"] == "/refused":
        await send({"type": "http.response.start", "status": 503, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"full"})
        return
    num_bytes, more = 0, scope["method"] == "POST"
    while more:
        message = await receive()
        num_bytes += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    parts = [str(num_bytes).encode()] if scope["method"] == "POST" else [b"x" * (SIZE // 100)] * 100
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})
    ended.append(time.monotonic())


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(serve_proxy, "_PATIENCE_S", PATIENCE_S)
    assert uvicorn.Config(application).http == "auto"  # what Serve leaves it at
    monkeypatch.setattr("uvicorn.protocols.http.auto.AutoHTTPProtocol", None)
    assert len(middlewares()) == 2
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(application, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        assert config.http_protocol_class is Connection
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET /", b"x"),
        (b"GET / HTTP/1.1\r\nX-A: ", b"x"),
        (b"GET / HTTP/1.1\r\n", b"X-A: b\r\n"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X-A: b\r\n"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
    ],
)
def test_a_head_or_tail_without_end_is_cut(port: int, start: bytes, more: bytes) -> None:
    num_bytes = 0
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as opened, suppress(ConnectionError):
        opened.sendall(start)
        while num_bytes < 50_000_000:
            opened.sendall(more * 10_000)
            num_bytes += 10_000 * len(more)
    assert num_bytes < 20_000_000  # what the two kernels hold
    assert httpx.post(f"http://127.0.0.1:{port}", content=b"x").text == "1"


def test_large_bodies_and_small_chunks_pass(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(3):
            assert client.post("/", content=b"x" * 3_000_000).text == "3000000"
            assert client.post("/", content=(b"x" for _ in range(20_000))).text == "20000"
        assert len(client.get("/", headers={"Cookie": "v" * 20_000}).content) == SIZE


def test_a_refusal_in_the_middle_of_a_body_is_read_before_the_connection_ends(port: int) -> None:
    for _ in range(20):
        with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as opened:
            opened.sendall(b"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
            for _ in range(30):
                opened.sendall(b"x" * 100_000)
            answer = b"".join(iter(lambda: opened.recv(1000), b""))
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"full" in answer


def test_who_sends_on_after_a_refusal_is_ended(port: int) -> None:
    began = time.monotonic()
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as opened, suppress(ConnectionError):
        opened.sendall(b"POST /refused HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        while time.monotonic() - began < 10:
            opened.sendall(b"1\r\nx\r\n")
            time.sleep(0.01)
    assert time.monotonic() - began < 8


def test_slow_headers_are_ended_and_slow_bodies_are_not(port: int) -> None:
    began = time.monotonic()
    with (
        closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as silent,
        closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as slow,
    ):
        slow.sendall(POST + b"Content-Length: 2\r\n\r\n1")
        silent.sendall(b"GET / HTTP/1.1\r\nX-A: ")
        with suppress(ConnectionResetError):  # either way of closing will do
            assert silent.recv(1) == b""
        assert PATIENCE_S - 0.1 < time.monotonic() - began < 8
        slow.sendall(b"2")
        assert slow.recv(12) == b"HTTP/1.1 200"


def test_who_does_not_read_is_ended_and_who_reads_is_not(port: int) -> None:
    began = time.monotonic()
    ended.clear()
    with closing(socket.socket()) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.connect(("127.0.0.1", port))
        opened.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while not ended:
            assert time.monotonic() - began < 10
            time.sleep(0.05)
    assert ended[0] - began > PATIENCE_S - 0.1
    assert len(httpx.get(f"http://127.0.0.1:{port}").content) == SIZE
