import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from ray_iqa.config.serve import LimitsConfig
from ray_iqa.http.metrics import HttpMetrics
from ray_iqa.http.middleware.admission import Admission
from ray_iqa.http.middleware.guard import Guard
from ray_iqa.http.middleware.load_shedding import Doorkeeper
from ray_iqa.http.problems import as_problem
from ray_iqa.http.settings import Settings
from ray_iqa.serving.types import BusyError

STATUSES = {"/livez": 405}  # public: whatever key comes is not looked at


class Service:
    """Replicas behind a doorkeeper; each takes two bodies and answers them when told to."""

    def __init__(self, num_replicas: int) -> None:
        self.asked = self.now = 0.0
        self.release = asyncio.Event()
        self.replicas: list[Guard] = []
        self._inside: dict[int, int] = {}
        for _ in range(num_replicas):
            self.add_replica()
        self._door = Doorkeeper(self._route, lambda: self.now)

    def add_replica(self) -> None:
        settings = Settings(LimitsConfig(max_pending_requests=2))
        self.replicas.append(Guard(Admission(self._answer, settings), HttpMetrics(), names_requests=False))

    async def ask(
        self,
        method: str = "POST",
        path: str = "/",
        after: asyncio.Event | None = None,
        key: bytes = b"good",
        more: tuple[tuple[bytes, bytes], ...] = (),
    ) -> Message:
        """Start of the answer."""
        sent: list[Message] = []

        async def receive() -> Message:
            raise AssertionError("nothing here reads a body")

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"x-request-id", b"of-the-client"), (b"x-api-key", key), *more]
        headers += [(b"content-length", b"9")] if method == "POST" else []
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": headers,
            "after": after,
            "query_string": b"",
        }
        await self._door(scope, receive, send)
        return sent[0]

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        if scope["after"] is not None:
            await scope["after"].wait()
        if scope["path"].startswith("/docs/"):  # of which nobody reads the answer
            await asyncio.Event().wait()
        place = min(range(len(self.replicas)), key=lambda place: self._inside.get(place, 0))
        self._inside[place] = self._inside.get(place, 0) + 1
        try:
            await self.replicas[place](scope, receive, send)
        finally:
            self._inside[place] -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        if scope["path"] == "/busy":
            raise as_problem(BusyError("all replicas of this model are busy", 5.0))
        if scope["method"] == "POST":
            await self.release.wait()
        status = STATUSES.get(scope["path"], 200 if (b"x-api-key", b"good") in scope["headers"] else 401)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})


def _with(num_replicas: int, check: Callable[[Service], Awaitable[None]]) -> None:
    async def run() -> None:
        await check(Service(num_replicas))

    asyncio.run(run())


def test_a_full_service_is_asked_once_and_again_when_it_has_answered() -> None:
    async def check(service: Service) -> None:
        accepted = [asyncio.create_task(service.ask()) for _ in range(2)]
        await asyncio.sleep(0)
        assert (await service.ask())["status"] == 503
        refused = [await service.ask() for _ in range(5)]
        assert service.asked == 3
        assert {reply["status"] for reply in refused} == {503}
        headers = dict(refused[0]["headers"])
        assert (headers[b"retry-after"], headers[b"x-request-id"]) == (b"1", b"of-the-client")
        assert headers[b"content-type"] == b"application/problem+json"
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert (await service.ask("GET"))["status"] == 200
        service.release.set()
        assert [(await task)["status"] for task in accepted] == [200, 200]
        assert (await service.ask())["status"] == 200

    _with(1, check)


def test_nothing_is_refused_while_a_replica_has_room() -> None:
    async def check(service: Service) -> None:
        burst = [asyncio.create_task(service.ask()) for _ in range(12)]
        await asyncio.sleep(0)
        assert sum(task.done() for task in burst) == 8
        assert (await service.ask())["status"] == 503
        service.release.set()
        assert sorted([(await task)["status"] for task in burst]) == [200] * 4 + [503] * 8
        service.release.clear()
        again = [asyncio.create_task(service.ask()) for _ in range(4)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in again)
        service.release.set()
        assert {(await task)["status"] for task in again} == {200}

    _with(2, check)


def test_a_new_replica_is_found_while_the_old_one_is_full() -> None:
    async def check(service: Service) -> None:
        accepted = [asyncio.create_task(service.ask()) for _ in range(2)]
        await asyncio.sleep(0)
        assert (await service.ask())["status"] == 503
        service.add_replica()
        service.now += 0.6
        more = [asyncio.create_task(service.ask()) for _ in range(2)]
        await asyncio.sleep(0)
        service.release.set()
        assert [(await task)["status"] for task in [*accepted, *more]] == [200] * 4

    _with(1, check)


def test_bodies_that_overtake_each_other_leave_no_room_unused() -> None:
    async def check(service: Service) -> None:
        late = asyncio.Event()
        delayed = asyncio.create_task(service.ask(after=late))  # the first to come, the last to arrive
        accepted = [asyncio.create_task(service.ask()) for _ in range(2)]
        await asyncio.sleep(0)
        late.set()
        assert (await delayed)["status"] == 503
        service.release.set()
        assert (await accepted[0])["status"] == 200
        service.release.clear()
        more = [asyncio.create_task(service.ask()) for _ in range(2)]
        await asyncio.sleep(0)
        service.release.set()
        assert {(await task)["status"] for task in more} == {200}

    _with(1, check)


def test_one_busy_model_closes_no_door() -> None:
    async def check(service: Service) -> None:
        service.release.set()
        assert (await service.ask(path="/busy"))["status"] == 503
        assert (await service.ask())["status"] == 200

    _with(1, check)


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_who_is_known_does_not_stand_in_line_with_strangers() -> None:
    async def check(service: Service) -> None:
        service.release.set()
        assert (await service.ask())["status"] == 200
        assert (await service.ask(path="/livez", key=b"bad"))["status"] == 405  # makes nobody known
        service.release.clear()
        asked = service.asked
        strangers = [asyncio.create_task(service.ask(key=b"bad%d" % (number % 3))) for number in range(1000)]
        await _settle()
        assert service.asked == asked + 16
        refused = await service.ask(key=b"bad")
        assert (refused["status"], dict(refused["headers"])[b"connection"]) == (503, b"close")
        known = asyncio.create_task(service.ask())
        await _settle()
        assert service.asked == asked + 17
        assert (await service.ask("GET"))["status"] == 200
        service.release.set()
        assert (await known)["status"] == 200
        assert {(await task)["status"] for task in strangers} == {401}
        assert (await service.ask(key=b"bad"))["status"] == 401

    _with(9, check)


def test_a_new_key_waits_for_its_turn_and_a_revoked_one_is_a_stranger_again() -> None:
    async def check(service: Service) -> None:
        strangers = [asyncio.create_task(service.ask(key=b"bad")) for _ in range(100)]
        await _settle()
        fresh = asyncio.create_task(service.ask())
        service.release.set()
        assert (await fresh)["status"] == 200
        await asyncio.gather(*strangers)
        STATUSES["/"] = 401
        try:
            assert (await service.ask())["status"] == 401
        finally:
            del STATUSES["/"]
        service.release.clear()
        line = [asyncio.create_task(service.ask(key=b"bad")) for _ in range(20)]
        await _settle()
        asked = service.asked
        again = asyncio.create_task(service.ask())
        await _settle()
        assert service.asked == asked
        service.release.set()
        assert (await again)["status"] == 200
        await asyncio.gather(*line)

    _with(9, check)


@pytest.mark.parametrize(
    "more",
    [
        ((b"x-request-id", b"\xff"),),
        ((b"a", b"v" * 33_000),),
        tuple((b"x-%d" % number, b"v" * 100) for number in range(400)),
    ],
)
def test_heads_that_serve_cannot_read_or_carry_cheaply_do_not_reach_it(more: tuple[tuple[bytes, bytes], ...]) -> None:
    async def check(service: Service) -> None:
        for key in (b"good", b"bad"):
            reply = await service.ask(key=key, more=more)
            assert (reply["status"], dict(reply["headers"])[b"connection"]) == (400, b"close")
        assert service.asked == 0
        service.release.set()
        assert (await service.ask(more=((b"cookie", b"v" * 8_000),)))["status"] == 200

    _with(1, check)


def test_only_what_the_proxy_answers_by_itself_passes_the_line() -> None:
    async def check(service: Service) -> None:
        strangers = [asyncio.create_task(service.ask(path=f"/-/{place}", key=b"bad")) for place in range(40)]
        await _settle()
        assert service.asked == 16
        assert (await service.ask("GET", path="/-/healthz", key=b"bad"))["status"] == 401  # what stands for the proxy
        service.release.set()
        assert {(await task)["status"] for task in strangers} == {401}

    _with(9, check)


def test_files_that_nobody_reads_hold_up_nothing_else_and_strangers_have_one_answer_a_connection() -> None:
    async def check(service: Service) -> None:
        service.release.set()
        readers = [asyncio.create_task(service.ask("GET", "/docs/a.js", key=b"bad")) for _ in range(100)]
        await _settle()
        assert service.asked == 4
        for method, path in (("POST", "/"), ("GET", "/"), ("POST", "/livez")):
            assert dict((await service.ask(method, path, key=b"bad"))["headers"])[b"connection"] == b"close"
        assert (await service.ask())["status"] == 200
        assert b"connection" not in dict((await service.ask("GET"))["headers"])
        for reader in readers:
            reader.cancel()

    _with(1, check)
