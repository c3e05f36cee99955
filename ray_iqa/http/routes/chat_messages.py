"""What `POST /v1/chat/completions` takes: the part of OpenAI's interface that a model of pictures has a use for."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ray_iqa.http.image_source import picture_of
from ray_iqa.http.problems import Problem
from ray_iqa.http.settings import Settings
from ray_iqa.serving.conversation import ChatSpec, Turn


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


Text = Annotated[str, Field(max_length=1_000_000)]
"""More than any context holds; a body may have as much as its picture needs."""


class TextPart(_Strict):
    """Words."""

    type: Literal["text"]
    text: Text


class ImageUrl(_Strict):
    """Where a picture is."""

    url: str = Field(description="A data: URI, or an https URL where the service fetches from its host.")
    detail: Literal["auto", "low", "high"] = Field(default="auto", description="Changes nothing.")


class ImagePart(_Strict):
    """A picture."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class Message(_Strict):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[Part]
    name: str | None = Field(default=None, description="Changes nothing.")


class StreamOptions(_Strict):
    """What a stream holds beside the answer."""

    include_usage: bool = False


class ChatRequest(_Strict):
    """A conversation that has at most one picture. Parameters that would change nothing are refused."""

    model: str
    messages: list[Message] = Field(min_length=1, max_length=64)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    seed: int | None = Field(default=None, description="Without one the same conversation gets the same answer.")
    n: Literal[1] | None = None
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = Field(default=None, description="Changes nothing.")


async def conversation(chat_request: ChatRequest, settings: Settings) -> tuple[ChatSpec, bytes | None]:
    """What the model is told, and the content of the picture.

    Raises:
        Problem: of the picture; 413 several of them.
    """
    turns, image = [], None
    for place, message in enumerate(chat_request.messages):
        parts = [TextPart(type="text", text=message.content)] if isinstance(message.content, str) else message.content
        has_picture = False
        for number, part in enumerate(parts):
            if isinstance(part, ImagePart):
                pointer = f"/messages/{place}/content/{number}/image_url/url"
                if image is not None:
                    raise Problem(413, "too-many-images", "a conversation may have one picture", pointer=pointer)
                image, has_picture = await picture_of(part.image_url.url, pointer, settings), True
        text = "\n".join(part.text for part in parts if isinstance(part, TextPart))
        role: Literal["system", "user", "assistant"] = "system" if message.role == "developer" else message.role
        turns.append(Turn(role=role, text=text, has_picture=has_picture))
    spec = ChatSpec(
        turns=tuple(turns),
        temperature=chat_request.temperature,
        top_p=chat_request.top_p,
        max_tokens=chat_request.max_completion_tokens or chat_request.max_tokens,
        seed=chat_request.seed,
        presence_penalty=chat_request.presence_penalty or 0.0,
        frequency_penalty=chat_request.frequency_penalty or 0.0,
    )
    return spec, image
