"""`POST /v1/describe`: why a picture has the score that it has."""

import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ray_iqa.http.problems import Problem, responses
from ray_iqa.http.replies import DescribeReply, ScoreItem
from ray_iqa.http.requests import DescribeRequest, body_schema, read_request
from ray_iqa.http.settings import Settings
from ray_iqa.http.sse import DONE, event, event_stream, streamed
from ray_iqa.serving.conversation import ConversationModel
from ray_iqa.serving.models import ModelRegistry
from ray_iqa.serving.types import PictureScore

_PROBLEMS = responses(400, 401, 403, 404, 408, 413, 415, 422, 429, 503, 504)
_STREAM = streamed("Events `reasoning` and `answer` with `{text}`, then `score`, then `[DONE]`; or `error`, the last.")


def describing_routes(registry: ModelRegistry, settings: Settings) -> APIRouter:
    """The route over ``registry``, under the limits in force when a request comes."""
    router = APIRouter(tags=["reasoning"])

    @router.post(
        "/v1/describe",
        response_model=DescribeReply,
        responses={200: _STREAM, **_PROBLEMS},
        openapi_extra={"requestBody": body_schema(DescribeRequest)},
    )
    async def describe(request: Request) -> DescribeReply | Response:
        """What speaks for and against a picture, as it is written; then the score."""
        query, [image] = await read_request(request, DescribeRequest, settings)
        model = registry.reasoning_model(query.model)
        if not query.stream:
            return await _whole(model, image)
        return await event_stream(_events(model, image), settings.limits.request_timeout_s, _failed)

    return router


async def _whole(model: ConversationModel, image: bytes) -> DescribeReply:
    reasoning = answer = ""
    async with aclosing(model.describe(image)) as parts:
        async for part in parts:
            if isinstance(part, PictureScore):
                return DescribeReply(model=part.model, reasoning=reasoning, answer=answer, score=_item(part, image))
            reasoning, answer = reasoning + part.reasoning, answer + part.content
    raise AssertionError("a description ends with the score")


async def _events(model: ConversationModel, image: bytes) -> AsyncGenerator[str, None]:
    async with aclosing(model.describe(image)) as parts:
        async for part in parts:
            if isinstance(part, PictureScore):
                yield event(_item(part, image).model_dump_json(), "score")
                continue
            for name, text in (("reasoning", part.reasoning), ("answer", part.content)):
                if text:
                    yield event(json.dumps({"text": text}), name)
    yield DONE


def _item(score: PictureScore, image: bytes) -> ScoreItem:
    return ScoreItem(index=0, sha256=hashlib.sha256(image).hexdigest(), **score.model_dump())


def _failed(problem: Problem) -> str:
    return event(problem.body(None).model_dump_json(exclude_none=True), "error")
