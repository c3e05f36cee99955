"""The client over the wire it is made for: real endpoint, real HTTP, an unreliable door in front of it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from PIL import Image

from ray_iqa.client import Client, EndpointError
from ray_iqa.config.serve import AccessConfig, DecodingConfig, LimitsConfig
from ray_iqa.errors import ResourceError
from ray_iqa.http.app import create_app
from ray_iqa.http.auth.keys import hash_of, new_key
from ray_iqa.http.settings import Settings
from ray_iqa.serving.decoder_pool import DecodeWorkers, score_files
from ray_iqa.serving.types import ModelCard, PictureScore

Answer = Callable[[], Response | None]


class Brightness:
    """An image model whose right answer is known: the mean grey level, on 1 to 5."""

    def __init__(self) -> None:
        self._workers: DecodeWorkers | None = None

    async def card(self) -> ModelCard:
        return ModelCard(id="light", revision="1", max_pixels=1000)

    async def score(self, images: list[bytes]) -> list[PictureScore]:
        self._workers = self._workers or DecodeWorkers(DecodingConfig())

        async def score_one(picture: Image.Image) -> PictureScore:
            value = 1 + 4 * float(np.asarray(picture).mean()) / 255
            return PictureScore(value=value, spread=0.1, model="light", revision="1", status="ok")

        def failed(reason: str) -> PictureScore:
            return PictureScore(value=None, model="light", revision="1", status="failed", reason=reason)

        return await score_files(images, self._workers, score_one, failed)


class Door:
    """Answers in the endpoint's stead while it has something to say."""

    def __init__(self) -> None:
        self.answers: list[Response] = []
        self.num_requests = 0


@pytest.fixture(scope="module")
def door() -> Door:
    return Door()


@pytest.fixture(scope="module")
def key() -> str:
    return new_key()


@pytest.fixture(scope="module")
def url(door: Door, key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    keys_file = tmp_path_factory.mktemp("keys") / "keys"
    keys_file.write_text(f"{hash_of(key)} tests\n")
    access = AccessConfig(keys_file=str(keys_file), requests_per_second=1000, burst=1000)
    app: FastAPI = create_app({"light": Brightness()}, access, Settings(LimitsConfig(max_images=4)))

    @app.middleware("http")
    async def _refuse(request: Request, forward: Callable) -> Response:  # type: ignore[type-arg]
        door.num_requests += 1
        return door.answers.pop(0) if door.answers else await forward(request)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def client(url: str, key: str) -> Iterator[Client]:
    with Client(url, key, batch_size=3, concurrency=2) as client:
        yield client


@pytest.fixture(scope="module")
def greys(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("greys")
    levels = [0, 51, 102, 153, 204, 255, 25]
    for place, level in enumerate(levels):
        Image.new("L", (9, 9), level).save(folder / f"{place}.png")
    return sorted(folder.iterdir())


def test_many_pictures_come_back_in_order_whatever_the_batches(client: Client, greys: list[Path]) -> None:
    pictures = [*greys, b"broken", *(path.read_bytes() for path in greys)]
    items = list(client.score(pictures))
    expected = [1.0, 1.8, 2.6, 3.4, 4.2, 5.0, 1 + 100 / 255]
    assert [item.index for item in items] == list(range(15))
    assert [item.value for item in items] == [pytest.approx(value) for value in expected] + [None] + [
        pytest.approx(value) for value in expected
    ]
    assert items[7].status == "failed"
    assert list(client.score([])) == []


def test_the_other_questions(client: Client, greys: list[Path]) -> None:
    comparison = client.compare(greys[1:4])
    assert comparison.ranking == [2, 1, 0]
    assert comparison.probabilities[2][0] == pytest.approx(1.0)
    assert [result.index for result in client.rerank(greys[1:4], top_n=2).results] == [2, 1]
    assert client.reward([greys[5], b"broken"], "unit").rewards == [pytest.approx(1.0), None]
    assert [card.id for card in client.models()] == ["light"]


@pytest.mark.parametrize("status", [429, 503, 502])
def test_a_busy_service_is_asked_again(client: Client, door: Door, greys: list[Path], status: int) -> None:
    door.answers, door.num_requests = [Response(status_code=status) for _ in range(2)], 0
    assert [item.status for item in client.score(greys[:2])] == ["ok", "ok"]
    assert door.num_requests == 3


def test_the_wait_that_is_asked_for_is_kept(client: Client, door: Door, greys: list[Path]) -> None:
    door.answers = [Response(status_code=503, headers={"Retry-After": "1"})]
    began = time.monotonic()
    list(client.score(greys[:1]))
    assert time.monotonic() - began >= 1.0


def test_a_service_that_stays_busy_is_given_up(url: str, key: str, door: Door, greys: list[Path]) -> None:
    door.answers = [Response("later", status_code=503) for _ in range(2)]
    with Client(url, key, attempts=2) as client, pytest.raises(ResourceError, match="busy during 2 attempts"):
        list(client.score(greys[:1]))
    with Client("http://127.0.0.1:9", attempts=2) as client, pytest.raises(ResourceError, match="no answer"):
        client.models()


def test_a_refusal_is_not_repeated(client: Client, url: str, door: Door, greys: list[Path]) -> None:
    door.num_requests = 0
    with pytest.raises(EndpointError, match="at most 4 images") as refused:
        client.reward([greys[0]] * 5, "unit")
    assert (refused.value.status, refused.value.problem["title"]) == (
        413,
        httpx.codes(413).name.replace("_", " ").title(),
    )
    assert door.num_requests == 1
    with Client(url, "a wrong key") as stranger, pytest.raises(EndpointError, match="valid API key"):
        stranger.models()
