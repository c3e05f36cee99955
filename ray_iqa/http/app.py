"""The whole endpoint as an ASGI application over any models."""

from collections.abc import Mapping
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import PlainTextResponse

import ray_iqa
from ray_iqa.config.serve import AccessConfig
from ray_iqa.http.access import Access
from ray_iqa.http.batches import BatchJobs, batch_routes
from ray_iqa.http.chat import chat_routes
from ray_iqa.http.describing import describing_routes
from ray_iqa.http.guard import Guard
from ray_iqa.http.judging import Judges
from ray_iqa.http.metrics import HttpMetrics
from ray_iqa.http.page import docs_file, docs_page, page_response
from ray_iqa.http.problems import ProblemBody, install, responses
from ray_iqa.http.replies import Health, Version
from ray_iqa.http.routes import model_routes, scoring_routes
from ray_iqa.http.scores import ImageModel
from ray_iqa.http.settings import Settings
from ray_iqa.http.talk import TalkingModel


def create_app(
    models: Mapping[str, ImageModel],
    access: AccessConfig,
    settings: Settings,
    *,
    talker: TalkingModel | None = None,
    batches: BatchJobs | None = None,
    names_requests: bool = True,
) -> FastAPI:
    """The endpoint.

    Args:
        models: by name; the first one answers who names none. `light` and `reasoning` together make `cascade`.
        access: keys and rates.
        settings: read at every request, so they may be replaced while the application runs.
        talker: the model `reasoning`, where there is one.
        batches: jobs over whole folders, where the service runs them.
        names_requests: False behind a proxy that puts the request id on answers itself.

    Raises:
        ConfigError: the keys file cannot be used.
    """
    judges, metrics = Judges(models, talker), HttpMetrics()
    app = FastAPI(
        title="ray_iqa",
        version=ray_iqa.__version__,
        description="Image quality: scores, comparisons, rankings. Every score says its scale, direction and source.",
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    install(app)
    allowed = Depends(Access(access))
    for router in (
        scoring_routes(judges, settings),
        describing_routes(judges, settings),
        chat_routes(judges, settings),
        batch_routes(batches),
        model_routes(judges),
    ):
        app.include_router(router, dependencies=[allowed])
    app.add_api_route(
        "/metrics",
        metrics.response,
        name="metrics",
        dependencies=[allowed],
        tags=["operations"],
        response_class=PlainTextResponse,
        responses=responses(401, 403, 429),
        description="Requests of this replica, for Prometheus.",
    )
    app.add_api_route("/", page_response, include_in_schema=False)
    app.add_api_route("/docs", lambda: docs_page(app.title), include_in_schema=False)
    app.add_api_route("/docs/{name}", docs_file, include_in_schema=False)
    _add_operations(app, judges)
    app.add_middleware(Guard, settings=settings, metrics=metrics, names_requests=names_requests)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _add_operations(app: FastAPI, judges: Judges) -> None:
    @app.get("/livez", tags=["operations"])
    async def livez() -> Health:
        """This process answers."""
        return Health()

    @app.get("/readyz", tags=["operations"], responses=responses(503))
    async def readyz() -> Health:
        """Every model answers."""
        for name in judges.names:
            await judges.card(name)
        return Health()

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
            if path.startswith(("/v1/", "/reward", "/metrics")):
                for operation in operations.values():
                    operation["security"] = [{"bearer": []}, {"header": []}]
        app.openapi_schema = schema
    return app.openapi_schema
