"""The HTTP ingress: `ray_iqa.http` over handles of the model deployments."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError
from ray.serve.handle import DeploymentHandle
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from actors.serving.batches import RayBatchJobs
from actors.serving.metrics import RefusalMetrics
from ray_iqa.config.serve import LimitsConfig, ServeConfig, user_config
from ray_iqa.http.app import create_app
from ray_iqa.http.settings import Settings
from ray_iqa.serving.conversation import ChatEnd, ChatSpec, Delta
from ray_iqa.serving.types import BusyError, ModelCard, PictureScore

_LOST_REPLICA = (RayActorError, ReplicaUnavailableError)
_RETRYING = AsyncRetrying(
    retry=retry_if_exception_type(_LOST_REPLICA),
    stop=stop_after_attempt(3),
    wait=wait_random_exponential(multiplier=0.1, max=1.0),
    reraise=True,
)


class DeployedModel:
    """`serving.conversation.ConversationModel` over a deployment; only the reasoning model's replicas talk.

    Scoring changes nothing, so a call whose replica died is made again at another one.
    """

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle

    async def card(self) -> ModelCard:
        """See `ImageModel.card`."""
        return await self._call("card")

    async def score(self, images: Sequence[bytes]) -> list[PictureScore]:
        """See `ImageModel.score`."""
        return await self._call("score", list(images))

    def describe(self, image: bytes) -> AsyncGenerator[Delta | PictureScore, None]:
        """See `ConversationModel.describe`."""
        return self._stream("describe", image)

    def chat(self, spec: ChatSpec, image: bytes | None) -> AsyncGenerator[Delta | ChatEnd, None]:
        """See `ConversationModel.chat`."""
        return self._stream("chat", spec, image)

    async def _call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 - handles are untyped
        async def ask() -> Any:  # noqa: ANN401 - handles are untyped
            response = getattr(self._handle, method).remote(*arguments)
            with _cancelled_on_error(response):
                return await response

        with _errors_named():
            return await _RETRYING.copy()(ask)

    async def _stream(self, method: str, *arguments: object) -> AsyncGenerator[Any, None]:  # Any: handles are untyped
        """Parts of an answer; once the first has come there is no second attempt, since it may be under way."""

        async def begin() -> tuple[Any, Any]:
            response = getattr(self._handle.options(stream=True), method).remote(*arguments)
            with _cancelled_on_error(response):
                return response, await anext(response)

        with _errors_named():
            began: tuple[Any, Any] = await _RETRYING.copy()(begin)  # Any: handles are untyped
            response, first = began
            with _cancelled_on_error(response):
                yield first
                async for part in response:
                    yield part


@contextmanager
def _cancelled_on_error(response: Any) -> Iterator[None]:  # noqa: ANN401 - handles are untyped
    """Tell the replica when nobody waits for its answer any longer."""
    try:
        yield
    except BaseException:
        response.cancel()
        raise


@contextmanager
def _errors_named() -> Iterator[None]:
    try:
        yield
    except BackPressureError as error:
        raise BusyError("all replicas of this model are busy", error.retry_after_s or 1.0) from error
    except (*_LOST_REPLICA, DeploymentUnavailableError) as error:
        raise BusyError("no replica of this model answers; it may be starting", 5.0) from error
    except RayTaskError as error:
        raise error.cause or error from error


class Ingress:
    """One replica of the ingress; wrapped by `serve_app`."""

    def __init__(self, models: Mapping[str, DeploymentHandle], config: ServeConfig) -> None:
        self._configured = config.limits
        self._settings = Settings(config.limits)
        deployed = {name: DeployedModel(handle) for name, handle in models.items()}
        batches = None
        if config.batches is not None and config.light is not None:
            batches = RayBatchJobs(config.batches, config.light.artifact)
        self._app = create_app(
            deployed,
            config.access,
            self._settings,
            reasoning=deployed.get("reasoning"),
            batches=batches,
            names_requests=False,  # Serve's proxy does
        )
        self._app.add_middleware(RefusalMetrics)  # the last one added is the outermost

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The ASGI application of this replica."""
        return self._app

    def reconfigure(self, changes: Mapping[str, Any]) -> None:
        """Replace single limits while running; keys left out have the values of the application's arguments.

        Raises:
            ConfigError: a key or value is not one of `LimitsConfig`.
        """
        values = self._configured.model_dump() | dict(changes)
        self._settings.limits = user_config(LimitsConfig, values, "Ingress", "limits")
