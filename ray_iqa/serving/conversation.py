"""What a model that reasons in words takes and gives, delta by delta."""

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

from ray_iqa.errors import DataError
from ray_iqa.serving.types import ImageModel, PictureScore


class RefusedError(DataError):
    """The model cannot answer this; ask something else."""


class Delta(BaseModel):
    """The next characters of an answer."""

    model_config = ConfigDict(frozen=True)

    reasoning: str = ""
    content: str = ""


class Turn(BaseModel):
    """One message of a conversation; the picture, if it has one, comes before its text."""

    model_config = ConfigDict(frozen=True)

    role: Literal["system", "user", "assistant"]
    text: str
    has_picture: bool = False


class ChatSpec(BaseModel):
    """A conversation to go on with, and how; None is what the service is configured to do."""

    model_config = ConfigDict(frozen=True)

    turns: tuple[Turn, ...]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0


class ChatEnd(BaseModel):
    """Why an answer ended, and what it took."""

    model_config = ConfigDict(frozen=True)

    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int


class ConversationModel(ImageModel, Protocol):
    """A model that also gives its reasons. Whoever stops listening ends the generation."""

    def describe(self, image: bytes) -> AsyncGenerator[Delta | PictureScore, None]:
        """The first of the answers that make up a picture's score, as it is written, then the score of all.

        Raises:
            BusyError: no capacity now.
        """

    def chat(self, spec: ChatSpec, image: bytes | None) -> AsyncGenerator[Delta | ChatEnd, None]:
        """The next turn of a conversation. The same conversation gets the same answer unless the seed differs.

        Raises:
            RefusedError: the file is no picture, or the model cannot take the conversation.
            BusyError: no capacity now.
        """
