"""Python client of the HTTP endpoint: any number of pictures, in batches, asked again when the service is busy."""

import base64
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias
from urllib.request import getproxies, proxy_bypass

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from ray_iqa.errors import RayIqaError, ResourceError
from ray_iqa.http.replies import CompareReply, DescribeReply, ModelList, RerankReply, RewardReply, ScoreItem, ScoreReply
from ray_iqa.serving.types import ModelCard

Picture: TypeAlias = str | Path | bytes
"""Path of a file, or its content."""

_RETRIED = {429, 502, 503, 504}
_LONGEST_WAIT_S = 30.0
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class EndpointError(RayIqaError):
    """The service refused a request; ask differently.

    ``status`` is HTTP's, ``problem`` the problem document as far as there was one.
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:  # Any: JSON
        super().__init__(f"the service answered {status}: {problem.get('detail', 'without a reason')}")
        self.status, self.problem = status, problem


class Client:
    """One service. Safe to use from several threads; a context manager.

    Args:
        url: such as ``http://127.0.0.1:8000``.
        key: API key; the environment variable RAY_IQA_KEY when left out.
        batch_size: pictures per request.
        concurrency: requests at the same time.
        timeout_s: of one request.
        attempts: at one request before `ResourceError`.
        transport: of httpx, for proxies and tests.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        key: str | None = None,
        *,
        batch_size: int = 16,
        concurrency: int = 4,
        timeout_s: float = 60.0,
        attempts: int = 6,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        key = key or os.environ.get("RAY_IQA_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        direct = {f"all://{host}": None for host in _LOOPBACK}  # whatever proxies the environment names
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s, transport=transport, mounts=direct)
        self._batch_size, self._concurrency, self._attempts = batch_size, concurrency, attempts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def score(self, pictures: Iterable[Picture], model: str | None = None) -> Iterator[ScoreItem]:
        """One item per picture, in order, as they come; ``index`` counts over all of them.

        A broken picture is an item with status failed and a reason. At most ``concurrency`` batches are in memory.

        Raises:
            EndpointError: the service refused a batch.
            ResourceError: the service was busy or away during all attempts.
        """
        with ThreadPoolExecutor(self._concurrency) as pool:
            batches = _batches(pictures, self._batch_size)
            pending = [pool.submit(self._score_batch, batch, model) for batch in islice(batches, self._concurrency)]
            place = 0
            while pending:
                reply = pending.pop(0).result()
                pending += [pool.submit(self._score_batch, batch, model) for batch in islice(batches, 1)]
                for item in reply.data:
                    yield item.model_copy(update={"index": place})
                    place += 1

    def compare(self, pictures: Sequence[Picture], model: str | None = None) -> CompareReply:
        """Win probabilities and ranking of at least two pictures; raises as `score`."""
        return CompareReply.model_validate(self._post("/v1/compare", {"images": _texts(pictures)}, model))

    def rerank(self, pictures: Sequence[Picture], top_n: int | None = None, model: str | None = None) -> RerankReply:
        """The best pictures first; raises as `score`."""
        body = {"documents": _texts(pictures), "top_n": top_n}
        return RerankReply.model_validate(self._post("/v1/rerank", body, model))

    def reward(
        self, pictures: Sequence[Picture], scale: Literal["native", "unit"], model: str | None = None
    ) -> RewardReply:
        """Rewards on ``scale``, None where there is no score; raises as `score`."""
        body = {"images": _texts(pictures), "scale": scale}
        return RewardReply.model_validate(self._post("/reward", body, model))

    def describe(self, picture: Picture, model: str | None = None) -> DescribeReply:
        """Reasoning about one picture and its score, once both are complete; raises as `score`."""
        body = {"images": _texts([picture]), "stream": False}
        return DescribeReply.model_validate(self._post("/v1/describe", body, model))

    def models(self) -> list[ModelCard]:
        """All models of the service; raises as `score`."""
        return ModelList.model_validate(self._send("GET", "/v1/models", None)).data

    def _score_batch(self, pictures: Sequence[Picture], model: str | None) -> ScoreReply:
        return ScoreReply.model_validate(self._post("/v1/score", {"images": _texts(pictures)}, model))

    def _post(self, path: str, body: dict[str, Any], model: str | None) -> Any:  # noqa: ANN401 - JSON
        return self._send(
            "POST", path, {key: value for key, value in {**body, "model": model}.items() if value is not None}
        )

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:  # noqa: ANN401 - JSON
        retrying = Retrying(
            retry=retry_if_exception(_is_passing), stop=stop_after_attempt(self._attempts), wait=_wait, reraise=True
        )
        try:
            return retrying(self._send_once, method, path, body)
        except httpx.HTTPError as error:
            raise ResourceError(
                f"no answer from {self._http.base_url}{self._proxy()} in {self._attempts} attempts: {error!r}"
            ) from error
        except _PassingError as error:
            raise ResourceError(f"{self._http.base_url} was busy during {self._attempts} attempts: {error}") from error

    def _proxy(self) -> str:
        """By which proxy of the environment requests go, as an error says it."""
        url = self._http.base_url
        proxy = getproxies().get(url.scheme)
        return "" if proxy is None or url.host in _LOOPBACK or proxy_bypass(url.host) else f" through the proxy {proxy}"

    def _send_once(self, method: str, path: str, body: dict[str, Any] | None) -> Any:  # noqa: ANN401 - JSON
        reply = self._http.request(method, path, json=body)
        if reply.is_success:
            return reply.json()
        try:
            problem = dict(reply.json())
        except ValueError:  # a proxy's own page
            problem = {"detail": reply.text[:200]}
        if reply.status_code in _RETRIED:
            raise _PassingError(reply.status_code, problem, reply.headers.get("retry-after"))
        raise EndpointError(reply.status_code, problem)


class _PassingError(EndpointError):
    """A refusal that will pass; ``retry_after_s`` is what the service asked for."""

    def __init__(self, status: int, problem: dict[str, Any], retry_after: str | None) -> None:
        super().__init__(status, problem)
        self.retry_after_s = float(retry_after) if retry_after and retry_after.isdecimal() else 0.0


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, _PassingError | httpx.TransportError)


def _wait(state: RetryCallState) -> float:
    """Exponential with jitter, but never sooner than the service asks."""
    seconds = wait_random_exponential(multiplier=0.2, max=_LONGEST_WAIT_S)(state)
    error = state.outcome.exception() if state.outcome else None
    demanded_s = error.retry_after_s if isinstance(error, _PassingError) else 0.0
    return min(_LONGEST_WAIT_S, demanded_s + seconds)


def _batches(pictures: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    remaining = iter(pictures)
    while batch := list(islice(remaining, size)):
        yield batch


def _texts(pictures: Sequence[Picture]) -> list[str]:
    contents = (picture if isinstance(picture, bytes) else Path(picture).read_bytes() for picture in pictures)
    return [base64.b64encode(content).decode() for content in contents]
