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
from ray_iqa.serving.conversation import ChatEnd, ChatSpec, ConversationModel, Delta
from ray_iqa.serving.models import ModelRegistry

_PROBLEMS = responses(400, 401, 403, 404, 408, 413, 422, 429, 503, 504)
_STREAM = streamed("With `stream`, events of chat.completion.chunk, then `[DONE]`.")


class Usage(BaseModel):
    """Tokens; those of the picture count."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatMessage(BaseModel):
    """An answer, or the next delta of one. Reasoning has the name that vLLM gives it, and the one it gave it before."""

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
    message: ChatMessage
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
    """The next delta of the one answer."""

    index: Literal[0] = 0
    delta: ChatMessage
    finish_reason: Literal["stop", "length"] | None = None


class Chunk(BaseModel):
    """An event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


def chat_routes(registry: ModelRegistry, settings: Settings) -> APIRouter:
    """The route over ``registry``, under the limits in force when a request comes."""
    router = APIRouter(tags=["reasoning"])

    @router.post("/v1/chat/completions", response_model=ChatReply, responses={200: _STREAM, **_PROBLEMS})
    async def chat(chat_request: ChatRequest) -> ChatReply | Response:
        """The next turn of a conversation about a picture."""
        model = registry.reasoning_model(chat_request.model)
        spec, image = await conversation(chat_request, settings)
        if not chat_request.stream:
            return await _whole(model, chat_request.model, spec, image)
        wants_usage = chat_request.stream_options is not None and chat_request.stream_options.include_usage
        events = _events(model, chat_request.model, spec, image, wants_usage)
        return await event_stream(events, settings.limits.request_timeout_s, _failed)

    return router


async def _whole(model: ConversationModel, name: str, spec: ChatSpec, image: bytes | None) -> ChatReply:
    reasoning = content = ""
    async with aclosing(model.chat(spec, image)) as parts:
        async for part in parts:
            if isinstance(part, ChatEnd):
                message = _message(Delta(reasoning=reasoning, content=content), role="assistant", content=content)
                choice = Choice(message=message, finish_reason=part.finish_reason)
                return ChatReply(model=name, choices=[choice], usage=_usage(part))
            reasoning, content = reasoning + part.reasoning, content + part.content
    raise AssertionError("an answer ends with its end")


async def _events(
    model: ConversationModel, name: str, spec: ChatSpec, image: bytes | None, wants_usage: bool
) -> AsyncGenerator[str, None]:
    reply_id = new_id()

    def chunk(delta: ChatMessage, finish_reason: Literal["stop", "length"] | None = None) -> str:
        choice = ChunkChoice(delta=delta, finish_reason=finish_reason)
        return event(Chunk(id=reply_id, model=name, choices=[choice]).model_dump_json())

    begun = False
    async with aclosing(model.chat(spec, image)) as parts:
        async for part in parts:
            if not begun:
                begun = True
                yield chunk(ChatMessage(role="assistant", content=""))
            if isinstance(part, Delta):
                yield chunk(_message(part))
                continue
            yield chunk(ChatMessage(), part.finish_reason)
            if wants_usage:
                yield event(Chunk(id=reply_id, model=name, choices=[], usage=_usage(part)).model_dump_json())
    yield DONE


def _message(delta: Delta, **more: Any) -> ChatMessage:  # noqa: ANN401 - fields of ChatMessage
    thought = {"reasoning": delta.reasoning, "reasoning_content": delta.reasoning} if delta.reasoning else {}
    return ChatMessage.model_validate({**thought, "content": delta.content or None, **more})


def _usage(end: ChatEnd) -> Usage:
    total = end.prompt_tokens + end.completion_tokens
    return Usage(prompt_tokens=end.prompt_tokens, completion_tokens=end.completion_tokens, total_tokens=total)


def _failed(problem: Problem) -> str:
    error = {**problem.body(None).model_dump(exclude_none=True), "message": problem.detail}  # clients show the message
    return event(json.dumps({"error": error}))
