"""What the scoring routes answer."""

import uuid
from typing import Literal

from pydantic import BaseModel, Field

from ray_iqa.serving.types import ModelCard, PictureScore
from ray_iqa.types import Scale


def new_id() -> str:
    """Id of a reply."""
    return f"iqa-{uuid.uuid4().hex}"


class ScoreItem(PictureScore):
    """The score of one picture of a request."""

    object: Literal["score"] = "score"
    index: int = Field(description="Place in the request.")
    sha256: str = Field(description="Of the file.")


class ScoreReply(BaseModel):
    """Scores in the order of the request."""

    id: str = Field(default_factory=new_id)
    object: Literal["list"] = "list"
    model: str = Field(description="Who was asked; each item says who answered.")
    data: list[ScoreItem]


class CompareReply(ScoreReply):
    """Scores, and what they say about pairs."""

    ranking: list[int] = Field(description="Indices of the scored pictures, best first; failed ones are left out.")
    probabilities: list[list[float | None]] = Field(
        description="Row i, column j: Thurstone probability that i is better than j; null for failed pictures."
    )


class RankedItem(BaseModel):
    """A picture at its place."""

    index: int
    relevance_score: float = Field(description="The score mapped to 0 to 1.")
    score: ScoreItem


class RerankReply(BaseModel):
    """The best pictures, best first."""

    id: str = Field(default_factory=new_id)
    model: str
    results: list[RankedItem]
    failed: list[ScoreItem] = Field(description="Pictures without a score; they are nowhere in the results.")


class RewardReply(BaseModel):
    """Rewards in the order of the request, on the scale that was asked for."""

    model: str
    revision: str
    scale: Scale
    higher_is_better: Literal[True] = True
    rewards: list[float | None] = Field(description="null where there is no score; never a stand-in number.")
    reasons: list[str | None]


class DescribeReply(BaseModel):
    """A picture's score with the first of the answers that made it."""

    id: str = Field(default_factory=new_id)
    object: Literal["description"] = "description"
    model: str
    reasoning: str
    answer: str = Field(description="What follows the reasoning, as the model wrote it.")
    score: ScoreItem


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Health(BaseModel):
    """Whether the service works."""

    status: Literal["ok"] = "ok"


class Readiness(Health):
    """Whether the models answer."""

    key_problems: list[str] = Field(description="Of the file of keys: lines that are none, or why there are none.")


class Version(BaseModel):
    """What runs."""

    name: str = "ray-iqa"
    version: str
