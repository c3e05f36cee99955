"""The routes that judge pictures."""

import hashlib
from typing import Any, TypeVar

from fastapi import APIRouter, Request

from ray_iqa.http.problems import responses
from ray_iqa.http.replies import (
    CompareReply,
    ModelList,
    RankedItem,
    RerankReply,
    RewardReply,
    ScoreItem,
    ScoreReply,
)
from ray_iqa.http.requests import CompareRequest, RerankRequest, RewardRequest, ScoreRequest, body_schema, read_request
from ray_iqa.http.settings import Settings
from ray_iqa.serving.comparison import ranking, unit_value, win_probabilities
from ray_iqa.serving.models import ModelRegistry
from ray_iqa.serving.types import ModelCard
from ray_iqa.types import Scale

ScoreT = TypeVar("ScoreT", bound=ScoreRequest)
_PROBLEMS = responses(400, 401, 403, 404, 408, 413, 415, 422, 429, 503, 504)


def scoring_routes(registry: ModelRegistry, settings: Settings) -> APIRouter:
    """Routes over ``registry``, under the limits in force when a request comes."""
    router = APIRouter(tags=["scores"])

    async def judge(request: Request, kind: type[ScoreT]) -> tuple[ScoreT, str, list[ScoreItem]]:
        """The request, the model that judged, and the scores of the pictures."""
        query, images = await read_request(request, kind, settings)
        model = registry.name(query.model)
        threshold = settings.limits.cascade_threshold if query.threshold is None else query.threshold
        rows = await registry.score(model, images, threshold)
        assert len(rows) == len(images), "a model answers every picture"
        items = [
            ScoreItem(index=index, sha256=hashlib.sha256(image).hexdigest(), **row.model_dump())
            for index, (row, image) in enumerate(zip(rows, images, strict=True))
        ]
        return query, model, items

    @router.post("/v1/score", responses=_PROBLEMS, openapi_extra=_body(ScoreRequest))
    async def score(request: Request) -> ScoreReply:
        """Quality of each picture."""
        _, model, items = await judge(request, ScoreRequest)
        return ScoreReply(model=model, data=items)

    @router.post("/v1/compare", responses=_PROBLEMS, openapi_extra=_body(CompareRequest))
    async def compare(request: Request) -> CompareReply:
        """Which of at least two pictures is better, and how surely."""
        _, model, items = await judge(request, CompareRequest)
        return CompareReply(model=model, data=items, ranking=ranking(items), probabilities=win_probabilities(items))

    @router.post("/v1/rerank", responses=_PROBLEMS, openapi_extra=_body(RerankRequest))
    async def rerank(request: Request) -> RerankReply:
        """The best of N pictures."""
        query, model, items = await judge(request, RerankRequest)
        results = [
            RankedItem(index=place, relevance_score=unit_value(items[place]) or 0.0, score=items[place])
            for place in ranking(items)[: query.top_n]
        ]
        failed = [item for item in items if item.status == "failed"]
        return RerankReply(model=model, results=results, failed=failed)

    @router.post("/reward", responses=_PROBLEMS, openapi_extra=_body(RewardRequest))
    async def reward(request: Request) -> RewardReply:
        """Rewards for pictures of a generator: list in, list out, on the scale that is asked for."""
        query, model, items = await judge(request, RewardRequest)
        unit = query.scale == "unit"
        return RewardReply(
            model=model,
            revision="+".join(sorted({item.revision for item in items})),
            scale=Scale(minimum=0.0, maximum=1.0) if unit else items[0].scale,
            rewards=[unit_value(item) if unit else item.value for item in items],
            reasons=[item.reason for item in items],
        )

    return router


def model_routes(registry: ModelRegistry) -> APIRouter:
    """Routes that say what can be asked for."""
    router = APIRouter(tags=["models"])

    @router.get("/v1/models", responses=responses(401, 403, 429, 503, 504))
    async def models() -> ModelList:
        """All models that can be asked for."""
        return ModelList(data=[await registry.card(name) for name in registry.names])

    @router.get("/v1/models/{name}", responses=responses(401, 403, 404, 422, 429, 503, 504))
    async def model(name: str) -> ModelCard:
        """One model."""
        return await registry.card(registry.name(name))

    return router


def _body(kind: type[ScoreRequest]) -> dict[str, Any]:  # Any: OpenAPI
    return {"requestBody": body_schema(kind)}
