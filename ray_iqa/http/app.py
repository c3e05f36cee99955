"""The whole endpoint as an ASGI application over any models."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import PlainTextResponse

import ray_iqa
from ray_iqa.config.serve import AccessConfig
from ray_iqa.http.auth.keys import KeyRing
from ray_iqa.http.auth.rate_limit import RateLimit
from ray_iqa.http.metrics import HttpMetrics
from ray_iqa.http.middleware.access import Access
from ray_iqa.http.middleware.admission import Admission
from ray_iqa.http.middleware.guard import Guard
from ray_iqa.http.problems import ProblemBody, install, responses
from ray_iqa.http.replies import Health, Readiness, Version
from ray_iqa.http.routes.batches import BatchJobs, batch_routes
from ray_iqa.http.routes.chat import chat_routes
from ray_iqa.http.routes.describe import describing_routes
from ray_iqa.http.routes.page import docs_file, docs_page, page_response
from ray_iqa.http.routes.scoring import model_routes, scoring_routes
from ray_iqa.http.settings import Settings
from ray_iqa.serving.conversation import ConversationModel
from ray_iqa.serving.models import ModelRegistry
from ray_iqa.serving.types import ImageModel

_PUBLIC = frozenset({"/", "/docs", "/openapi.json", "/livez", "/readyz", "/version"})


def create_app(
    models: Mapping[str, ImageModel],
    access: AccessConfig,
    settings: Settings,
    *,
    reasoning: ConversationModel | None = None,
    batches: BatchJobs | None = None,
    names_requests: bool = True,
) -> FastAPI:
    """The endpoint.

    Args:
        models: by name; the first one answers who names none. `light` and `reasoning` together make `cascade`.
        access: keys and rates.
        settings: read at every request, so they may be replaced while the application runs.
        reasoning: the model `reasoning`; without it there are no routes that reason.
        batches: jobs over whole folders; without them there are no routes for them.
        names_requests: False behind a proxy that puts the request id on answers itself.

    Raises:
        ConfigError: the keys file cannot be used.
    """
    keys = None if access.keys_file is None else KeyRing(access.keys_file)
    registry, metrics = ModelRegistry(models, reasoning), HttpMetrics(keys)
    app = FastAPI(
        title="ray_iqa",
        version=ray_iqa.__version__,
        description="Image quality: scores, comparisons, rankings. Every score says its scale, direction and source.",
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    install(app)
    routers = [scoring_routes(registry, settings), model_routes(registry)]
    if reasoning is not None:
        routers += [describing_routes(registry, settings), chat_routes(registry, settings)]
    if batches is not None:
        routers.append(batch_routes(batches))
    for router in routers:
        app.include_router(router)
    app.add_api_route(
        "/metrics",
        metrics.response,
        name="metrics",
        tags=["operations"],
        response_class=PlainTextResponse,
        responses=responses(401, 403, 429),
        description="Requests of this replica, for Prometheus.",
    )
    app.add_api_route("/", page_response, include_in_schema=False)
    app.add_api_route("/docs", lambda: docs_page(app.title), include_in_schema=False)
    app.add_api_route("/docs/{name}", docs_file, include_in_schema=False)
    _add_operations(app, registry, keys)
    app.add_middleware(Admission, settings=settings)  # each one is outside those before it
    rate = RateLimit(access.requests_per_second, access.burst)
    app.add_middleware(Access, keys=keys, rate=rate, is_public=_is_public)
    app.add_middleware(Guard, metrics=metrics, names_requests=names_requests)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _is_public(path: str) -> bool:
    return path in _PUBLIC or path.startswith("/docs/")


def _add_operations(app: FastAPI, registry: ModelRegistry, keys: KeyRing | None) -> None:
    @app.get("/livez", tags=["operations"])
    async def livez() -> Health:
        """This process answers."""
        return Health()

    @app.get("/readyz", tags=["operations"], responses=responses(503, 504))
    async def readyz() -> Readiness:
        """Every model answers; what is wrong with the keys is said beside it."""
        await registry.ready()
        return Readiness(key_problems=keys.problems if keys else [])

    @app.get("/version", tags=["operations"])
    async def version() -> Version:
        """What runs here."""
        return Version(version=ray_iqa.__version__)


def _openapi(app: FastAPI) -> dict[str, Any]:  # Any: OpenAPI
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = schema.setdefault("components", {})
        components.setdefault("schemas", {})["ProblemBody"] = ProblemBody.model_json_schema()
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        for path, operations in schema["paths"].items():
            if not _is_public(path):
                for operation in operations.values():
                    operation["security"] = [{"bearer": []}, {"header": []}]
        app.openapi_schema = schema
    return app.openapi_schema
