"""Deployments of the models: files in, scores out."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any

from PIL import Image

from actors.cluster.engine_start import engine_start
from actors.serving.metrics import ScoreMetrics
from ray_iqa.config.serve import (
    DecodingConfig,
    LightModelConfig,
    ReasoningChangesConfig,
    ReasoningModelConfig,
    user_config,
)
from ray_iqa.errors import DataError
from ray_iqa.serving.batching import PictureBatches
from ray_iqa.serving.conversation import ChatEnd, ChatSpec, Delta, RefusedError
from ray_iqa.serving.decoder_pool import DecodeWorkers, score_files
from ray_iqa.serving.types import ModelCard, PictureScore


class LightDeployment:
    """One replica of the light scorer; wrapped by `serve_app`."""

    async def __init__(self, config: LightModelConfig, decoding: DecodingConfig) -> None:  # type: ignore[misc]  # Serve awaits it
        self._configured, self._decoding = config, decoding
        self._metrics = ScoreMetrics()
        self._workers = DecodeWorkers(decoding, self._metrics.observe_decoding)
        await self._workers.start()
        self._batches = PictureBatches(
            self._score_batch,
            lambda picture: self._model.weight(picture),
            lambda: self._workers.is_decoding,
        )  # whatever model is loaded then
        self._load(config)

    async def reconfigure(self, changes: Mapping[str, Any]) -> None:
        """Swap the artifact or batch limits while running; the old one answers until the new one is loaded.

        Raises:
            ConfigError: a key or value is not one of `LightModelConfig`, or the folder holds no artifact.
        """
        values = self._configured.model_dump() | dict(changes)
        config = user_config(LightModelConfig, values, "LightScorer", "light")
        if config != self._loaded:
            await asyncio.to_thread(self._load, config)

    async def card(self) -> ModelCard:
        """What answers now."""
        return self._model.card

    async def score(self, files: Sequence[bytes]) -> list[PictureScore]:
        """See `serving.types.ImageModel.score`."""
        began = time.perf_counter()
        rows = await score_files(files, self._workers, self._batches.score, self._model.card.failed)
        self._metrics.observe(rows, time.perf_counter() - began)
        return rows

    def _score_batch(self, pictures: Sequence[Image.Image]) -> list[PictureScore]:
        with self._traced_call():
            return self._model.score(pictures)

    def _load(self, config: LightModelConfig) -> None:
        with engine_start():
            from ray_iqa.backends.profiling import TracedCall  # torch belongs in this process only
            from ray_iqa.serving.light_model import LightModel

            self._traced_call = TracedCall(config.profile, number=3)
            self._model = LightModel(config, self._decoding.max_pixels)
        self._batches.max_weight, self._batches.max_wait_s = config.max_batch_pixels, config.batch_wait_s
        self._loaded = config


class ReasoningDeployment:
    """One replica of the reasoning model: a vLLM engine, which forms its batches itself; wrapped by `serve_app`."""

    async def __init__(self, config: ReasoningModelConfig, decoding: DecodingConfig) -> None:  # type: ignore[misc]  # Serve awaits it
        with engine_start():
            from ray_iqa.backends.vllm.reasoning_model import ReasoningModel  # vLLM belongs in this process only

        self._configured, self._metrics = config, ScoreMetrics()
        self._workers = DecodeWorkers(decoding, self._metrics.observe_decoding)
        await self._workers.start()
        self._model = ReasoningModel(config, decoding.max_pixels, reports_to_ray=True)

    async def reconfigure(self, changes: Mapping[str, Any]) -> None:
        """Swap the weights or limits while running: answers under way are finished first, new ones wait.

        Raises:
            ConfigError: a key or value is not one of `ReasoningChangesConfig`, or the weights do not fit the engine.
        """
        new_config = user_config(ReasoningChangesConfig, changes, "ReasoningScorer", "its own")
        await self._model.change(new_config.applied_to(self._configured))

    async def check_health(self) -> None:
        """Serve replaces this replica when its engine has died."""
        await self._model.engine.check_health()

    async def card(self) -> ModelCard:
        """What answers."""
        return self._model.card

    async def num_running(self) -> int:
        """Answers that this replica's engine is writing or about to write."""
        return self._model.engine.num_running

    async def score(self, files: Sequence[bytes]) -> list[PictureScore]:
        """See `serving.types.ImageModel.score`."""
        began = time.perf_counter()
        rows = await score_files(files, self._workers, self._model.score, self._model.card.failed)
        self._metrics.observe(rows, time.perf_counter() - began)
        return rows

    async def describe(self, image: bytes) -> AsyncGenerator[Delta | PictureScore, None]:
        """See `serving.conversation.ConversationModel.describe`."""
        began = time.perf_counter()
        try:
            async with (
                self._workers.decoded(image) as picture,
                aclosing(self._model.describe(picture)) as parts,
            ):
                async for part in parts:
                    if isinstance(part, PictureScore):
                        self._metrics.observe([part], time.perf_counter() - began)
                    yield part
        except DataError as error:
            row = self._model.card.failed(str(error))
            self._metrics.observe([row], time.perf_counter() - began)
            yield row

    async def chat(self, spec: ChatSpec, image: bytes | None) -> AsyncGenerator[Delta | ChatEnd, None]:
        """See `serving.conversation.ConversationModel.chat`."""
        async with AsyncExitStack() as stack:
            try:
                picture = None if image is None else await stack.enter_async_context(self._workers.decoded(image))
            except DataError as error:
                raise RefusedError(str(error)) from error
            parts = await stack.enter_async_context(aclosing(self._model.chat(spec, picture)))
            async for part in parts:
                yield part
