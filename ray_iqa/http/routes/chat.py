"""`POST /v1/chat/completions` as OpenAI's clients know it."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

from ray_iqa.http.problems import Problem, responses
from ray_iqa.http.replies import new_id
from ray_iqa.http.routes.chat_messages import ChatRequest, conversation
from ray_iqa.http.settings import Settings
from ray_iqa.http.sse import DONE, event, event_stream, streamed
from ray_iqa.serving.conversation import ChatEnd, ChatSpec, Piece, TalkingModel
from ray_iqa.serving.models import Judges

_PROBLEMS = responses(400, 401, 403, 404, 408, 413, 422, 429, 503, 504)
_STREAM = streamed("With `stream`, events of chat.completion.chunk, then `[DONE]`.")


class Usage(BaseModel):
    """Tokens; those of the picture count."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Said(BaseModel):
    """An answer, or the next piece of one. Reasoning has the name that vLLM gives it, and the one it gave it before."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None

    @model_serializer(mode="wrap")
    def _without_none(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:  # Any: JSON
        return {name: value for name, value in serialize(self).items() if value is not None}


class Choice(BaseModel):
    """The one answer."""

    index: Literal[0] = 0
    message: Said
    finish_reason: Literal["stop", "length"]


class ChatReply(BaseModel):
    """A whole answer."""

    id: str = Field(default_factory=new_id)
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str
    choices: list[Choice]
    usage: Usage


class ChunkChoice(BaseModel):
    """The next piece of the one answer."""

    index: Literal[0] = 0
    delta: Said
    finish_reason: Literal["stop", "length"] | None = None


class Chunk(BaseModel):
    """An event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


def chat_routes(judges: Judges, settings: Settings) -> APIRouter:
    """The route over ``judges``, under the limits in force when a request comes."""
    router = APIRouter(tags=["reasoning"])

    @router.post("/v1/chat/completions", response_model=ChatReply, responses={200: _STREAM, **_PROBLEMS})
    async def chat(asked: ChatRequest) -> ChatReply | Response:
        """The next turn of a conversation about a picture."""
        model = judges.talker(asked.model)
        spec, image = await conversation(asked, settings)
        if not asked.stream:
            return await _whole(model, asked.model, spec, image)
        wants_usage = asked.stream_options is not None and asked.stream_options.include_usage
        events = _events(model, asked.model, spec, image, wants_usage)
        return await event_stream(events, settings.limits.request_timeout_s, _failed)

    return router


async def _whole(model: TalkingModel, name: str, spec: ChatSpec, image: bytes | None) -> ChatReply:
    reasoning = content = ""
    async with aclosing(model.chat(spec, image)) as parts:
        async for part in parts:
            if isinstance(part, ChatEnd):
                said = _said(Piece(reasoning=reasoning, content=content), role="assistant", content=content)
                choice = Choice(message=said, finish_reason=part.finish_reason)
                return ChatReply(model=name, choices=[choice], usage=_usage(part))
            reasoning, content = reasoning + part.reasoning, content + part.content
    raise AssertionError("an answer ends with its end")


async def _events(
    model: TalkingModel, name: str, spec: ChatSpec, image: bytes | None, wants_usage: bool
) -> AsyncGenerator[str, None]:
    reply_id = new_id()

    def chunk(delta: Said, finish_reason: Literal["stop", "length"] | None = None) -> str:
        choice = ChunkChoice(delta=delta, finish_reason=finish_reason)
        return event(Chunk(id=reply_id, model=name, choices=[choice]).model_dump_json())

    begun = False
    async with aclosing(model.chat(spec, image)) as parts:
        async for part in parts:
            if not begun:
                begun = True
                yield chunk(Said(role="assistant", content=""))
            if isinstance(part, Piece):
                yield chunk(_said(part))
                continue
            yield chunk(Said(), part.finish_reason)
            if wants_usage:
                yield event(Chunk(id=reply_id, model=name, choices=[], usage=_usage(part)).model_dump_json())
    yield DONE


def _said(piece: Piece, **more: Any) -> Said:  # noqa: ANN401 - fields of Said
    thought = {"reasoning": piece.reasoning, "reasoning_content": piece.reasoning} if piece.reasoning else {}
    return Said.model_validate({**thought, "content": piece.content or None, **more})


def _usage(end: ChatEnd) -> Usage:
    total = end.prompt_tokens + end.completion_tokens
    return Usage(prompt_tokens=end.prompt_tokens, completion_tokens=end.completion_tokens, total_tokens=total)


def _failed(problem: Problem) -> str:
    error = {**problem.body(None).model_dump(exclude_none=True), "message": problem.detail}  # clients show the message
    return event(json.dumps({"error": error}))
