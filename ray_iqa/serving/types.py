"""What a model says about pictures, and what the endpoint needs from a model."""

from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ray_iqa.answers.verdict import Verdict
from ray_iqa.errors import ConfigError, ResourceError
from ray_iqa.types import SCALE, Scale


class PictureScore(BaseModel):
    """A model's answer about one picture; a failed one has a reason and no value."""

    model_config = ConfigDict(frozen=True)

    value: float | None = Field(description="The quality; null when status is failed.")
    scale: Scale = SCALE
    higher_is_better: Literal[True] = True
    spread: float | None = Field(
        default=None,
        description="Standard deviation of the score. Reasoning: over the sampled answers, null with fewer than two "
        "readable ones. Light: over the basis scores that the picture resembles; not calibrated.",
    )
    num_unreadable: int | None = Field(
        default=None, description="Sampled answers without a readable score, left out of value and spread."
    )
    model: str = Field(description="Who answered.")
    revision: str = Field(description="Which weights answered.")
    prompt_id: str | None = Field(default=None, description="The question put to a reasoning model.")
    status: Literal["ok", "failed"]
    reason: str | None = Field(default=None, description="Why there is no value.")
    width: int | None = Field(default=None, description="Pixels, after EXIF orientation.")
    height: int | None = None


class ModelCard(BaseModel):
    """A model that can be asked for."""

    model_config = ConfigDict(frozen=True)

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "ray_iqa"
    revision: str
    prompt_id: str | None = None
    scale: Scale = SCALE
    higher_is_better: Literal[True] = True
    max_pixels: int

    def score(self, verdict: Verdict, size: tuple[int, int] | None = None) -> PictureScore:
        """A verdict of this model as the endpoint answers it.

        Args:
            verdict: as it stands.
            size: width and height of the picture, where it could be decoded.
        """
        width, height = size or (None, None)
        return PictureScore(
            value=verdict.value,
            scale=self.scale,
            spread=verdict.spread,
            num_unreadable=verdict.num_unreadable,
            model=self.id,
            revision=self.revision,
            prompt_id=self.prompt_id,
            status=verdict.status,
            reason=verdict.reason,
            width=width,
            height=height,
        )

    def failed(self, reason: str) -> PictureScore:
        """The row of a file that could not be decoded, or that the model refuses."""
        return self.score(Verdict(value=None, reason=reason))


class ImageModel(Protocol):
    """A scorer behind the endpoint."""

    async def card(self) -> ModelCard:
        """The model as it would answer now.

        Raises:
            BusyError: it cannot say within its time.
        """
        ...

    async def score(self, images: Sequence[bytes]) -> list[PictureScore]:
        """One row per file, in order; an unreadable file is a failed row. The rest of the batch changes no score.

        Raises:
            BusyError: no capacity now.
        """
        ...


class UnknownModelError(ConfigError):
    """The service has no model of this name, or the model named does not do what was asked."""


class BusyError(ResourceError):
    """A model has no capacity now; ask again after ``retry_after_s``."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
