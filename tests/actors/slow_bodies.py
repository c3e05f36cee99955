"""Strangers who begin bodies and do not end them."""

import asyncio
from collections import Counter
from contextlib import suppress
from itertools import cycle
from urllib.parse import urlsplit

import psutil

_BEGINNINGS = cycle(
    f"{start} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n{rest}"
    for start in (
        "POST /v1/score",
        "POST /v1/chat/completions",
        "POST /v1/batches",
        "POST /nowhere",
        "POST /-/x",
        "GET /v1/models",
    )
    for kind in ("application/json", "multipart/form-data; boundary=b")
    for rest in ("Content-Length: 1000\r\n\r\n{", "X-API-Key: wrong\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n{")
)


async def besiege(url: str, num_sockets: int, pause_s: float) -> Counter[str]:
    """Keep so many bodies open, a byte a second each, until cancelled; one that is closed is begun again.

    Returns:
        How often which status was answered.
    """
    answers: Counter[str] = Counter()
    with suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            for _ in range(num_sockets):
                group.create_task(_begin_again_and_again(url, pause_s, answers))
    return answers


async def _begin_again_and_again(url: str, pause_s: float, answers: Counter[str]) -> None:
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
            writer.write(next(_BEGINNINGS).encode())
            dripping = asyncio.create_task(_drip(writer))
            status = await reader.readline()
            answers[status.decode().partition(" ")[2].strip()] += 1
            await reader.read()
            dripping.cancel()
            writer.close()
        await asyncio.sleep(pause_s)


async def _drip(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while True:
            await asyncio.sleep(1.0)
            writer.write(b"x")
            await writer.drain()


def ingress_bytes() -> int:
    """Resident memory of the ingress replica of the cluster that this process started."""
    descendants = psutil.Process().children(recursive=True)
    [ingress] = [each for each in descendants if each.cmdline()[:1] and ":Ingress" in each.cmdline()[0]]
    return int(ingress.memory_info().rss)
