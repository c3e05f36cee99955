import asyncio
import io
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from ray_iqa.answers.thinking import split_thinking
from ray_iqa.config.serve import AccessConfig, DecodingConfig, LightModelConfig, LimitsConfig
from ray_iqa.http.app import create_app
from ray_iqa.http.auth.keys import hash_of
from ray_iqa.http.routes.batches import BatchReply, BatchRequest
from ray_iqa.http.settings import Settings
from ray_iqa.rali.fit.small_clip import build_small_clip
from ray_iqa.rali.model.artifact import Artifact
from ray_iqa.rali.model.head import RaliHead
from ray_iqa.rali.scorer import RaliScorer
from ray_iqa.serving.conversation import ChatEnd, ChatSpec, Delta, RefusedError
from ray_iqa.serving.decoder_pool import DecodeWorkers, score_files
from ray_iqa.serving.light_model import LightModel
from ray_iqa.serving.types import ModelCard, PictureScore

KEY = "iqa_a-key-of-the-tests"
DECODING = DecodingConfig(max_pixels=2_000_000, num_workers=2, timeout_s=5.0)
LIMITS = LimitsConfig(max_image_bytes=2_000_000, max_request_bytes=6_000_000, max_images=8, request_timeout_s=30.0)


class InProcess:
    """The light model without Ray: the same decoder processes and scorer, one picture at a time."""

    def __init__(self, model: LightModel) -> None:
        self.model = model
        self._workers: dict[asyncio.AbstractEventLoop, DecodeWorkers] = {}  # one test client each

    async def card(self) -> ModelCard:
        return self.model.card

    async def score(self, images: Sequence[bytes]) -> list[PictureScore]:
        loop = asyncio.get_running_loop()
        workers = self._workers.setdefault(loop, DecodeWorkers(DECODING))

        async def score_one(picture: Image.Image) -> PictureScore:
            return (await asyncio.to_thread(self.model.score, [picture]))[0]

        return await score_files(images, workers, score_one, self.model.card.failed)


class Talking(InProcess):
    """Talks like a reasoning model about scores of the light one: what a real one says is not for these tests."""

    WORDS = ("<think>It is ", "sharp \u2014 ", "and noisy.", "</think>", "<answer>3", ".5</answer>")

    async def card(self) -> ModelCard:
        return self.model.card.model_copy(update={"id": "reasoning", "prompt_id": "thinking"})

    async def score(self, images: Sequence[bytes]) -> list[PictureScore]:
        return [row.model_copy(update={"model": "reasoning"}) for row in await super().score(images)]

    async def describe(self, image: bytes) -> AsyncGenerator[Delta | PictureScore, None]:
        [score] = await self.score([image])
        if score.status == "ok":
            async for piece in self._pieces():
                yield piece
        yield score

    async def chat(self, spec: ChatSpec, image: bytes | None) -> AsyncGenerator[Delta | ChatEnd, None]:
        if image is not None and (reason := (await self.score([image]))[0].reason):
            raise RefusedError(reason)
        async for piece in self._pieces():
            yield piece
        yield ChatEnd(finish_reason="stop", prompt_tokens=len(spec.turns), completion_tokens=len(self.WORDS))

    async def _pieces(self) -> AsyncGenerator[Delta, None]:
        thought = said = ""
        for place in range(1, len(self.WORDS) + 1):
            text = "".join(self.WORDS[:place])
            more_thought, more_said = split_thinking(text, complete=place == len(self.WORDS))
            yield Delta(reasoning=more_thought.removeprefix(thought), content=more_said.removeprefix(said))
            thought, said = more_thought, more_said
            await asyncio.sleep(0.01)


class Noted:
    """Batches that are written down and never run."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, BatchReply]] = {}

    async def submit(self, asked: BatchRequest, owner: str) -> BatchReply:
        reply = BatchReply(id=f"batch-{len(self.known)}", status="queued", input=asked.input, output="x")
        self.known[reply.id] = owner, reply
        return reply

    async def find(self, batch_id: str, owner: str) -> BatchReply | None:
        known_owner, reply = self.known.get(batch_id, ("", None))
        return reply if owner == known_owner else None


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small scorer with random weights."""
    torch.set_num_threads(1)
    clip = build_small_clip(tmp_path_factory.mktemp("clip"))
    head = RaliHead(64, 16, 20)
    generator = torch.Generator().manual_seed(3)
    head.load_state_dict(
        {
            "mean": torch.zeros(64),
            "scale": torch.ones(64),
            "components": torch.randn(16, 64, generator=generator),
            "temperature": torch.tensor(0.1),
            "vectors": torch.randn(20, 16, generator=generator),
            "scores": torch.linspace(1, 5, 20),
        }
    )
    folder = tmp_path_factory.mktemp("artifact")
    RaliScorer(Artifact(encoder=clip.image, head=head, provenance={})).save(folder)
    return folder


@pytest.fixture(scope="session")
def light(artifact: Path) -> LightModel:
    return LightModel(LightModelConfig(artifact=str(artifact)), DECODING.max_pixels)


@pytest.fixture(scope="session")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text(f"# of the tests\n{hash_of(KEY)} tests\n")
    return path


@pytest.fixture(scope="session")
def app(light: LightModel, keys_file: Path) -> FastAPI:
    access = AccessConfig(keys_file=str(keys_file), requests_per_second=10_000, burst=10_000)
    return create_app({"light": InProcess(light)}, access, Settings(LIMITS))


@pytest.fixture(scope="session")
def talking_app(light: LightModel, keys_file: Path) -> FastAPI:
    """Everything that a service can have."""
    access = AccessConfig(keys_file=str(keys_file), requests_per_second=100_000, burst=100_000)
    talker = Talking(light)
    models = {"light": InProcess(light), "reasoning": talker}
    return create_app(models, access, Settings(LIMITS), reasoning=talker, batches=Noted())


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application on a port of this machine; its URL ends with a slash."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def talking(talking_app: FastAPI) -> Iterator[TestClient]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with TestClient(talking_app, headers=headers, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def client(app: FastAPI) -> Iterator[TestClient]:
    """Sends the key with every request; errors of the application are answers, not exceptions."""
    headers = {"Authorization": f"Bearer {KEY}"}
    with TestClient(app, headers=headers, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    def encode(seed: int = 0, size: tuple[int, int] = (70, 60), kind: str = "PNG") -> bytes:
        rng = np.random.default_rng(seed)
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(buffer, kind)
        return buffer.getvalue()

    return encode
