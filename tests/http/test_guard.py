import asyncio

from starlette.types import Message, Receive, Scope, Send

from ray_iqa.config.serve import LimitsConfig
from ray_iqa.http.metrics import HttpMetrics
from ray_iqa.http.middleware.admission import Admission
from ray_iqa.http.middleware.guard import Guard
from ray_iqa.http.settings import Settings


def test_more_requests_than_it_can_take_are_refused_unread() -> None:
    release = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            await receive()
            await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    metrics = HttpMetrics()
    admission = Admission(slow, Settings(LimitsConfig(max_pending_requests=2)))
    guard = Guard(admission, metrics, names_requests=True)
    num_read = 0

    async def receive() -> Message:
        nonlocal num_read
        num_read += 1
        return {"type": "http.request", "body": b"12345"}

    async def ask(method: str) -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await guard({"type": "http", "method": method, "path": "/", "headers": []}, receive, send)
        return sent

    async def run() -> None:
        waiting = [asyncio.create_task(ask("POST")) for _ in range(2)]
        await asyncio.sleep(0)
        assert num_read == 2
        refused = await ask("POST")
        assert (refused[0]["status"], num_read) == (503, 2)
        assert (b"retry-after", b"1") in refused[0]["headers"]
        assert (await ask("GET"))[0]["status"] == 200
        release.set()
        assert [(await each)[0]["status"] for each in waiting] == [200, 200]
        assert (await ask("POST"))[0]["status"] == 200

    asyncio.run(run())
    text = bytes(metrics.response().body).decode()
    assert 'ray_iqa_http_requests_total{method="",problem="busy",route="other",status="503"} 1.0' in text
    assert 'ray_iqa_http_request_bytes_total{route="other"} 15.0' in text
