"""Errors as application/problem+json (RFC 9457). docs/http.md lists the types."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from ray_iqa.serving.conversation import RefusedError
from ray_iqa.serving.types import BusyError, UnknownModelError

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


class ProblemBody(BaseModel):
    """What a refused or failed request is answered with."""

    type: str = Field(description="urn:ray-iqa:problem:<name>, the part to branch on.")
    title: str
    status: int
    detail: str = Field(description="What was wrong with this request and what to do about it.")
    instance: str | None = Field(default=None, description="The request's id.")
    pointer: str | None = Field(default=None, description="JSON pointer to the value at fault.")


class Problem(Exception):  # noqa: N818 - the word of the RFC
    """Ends a request with a problem document."""

    def __init__(
        self,
        status: int,
        name: str,
        detail: str,
        *,
        pointer: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.name, self.detail = status, name, detail
        self.pointer, self.headers = pointer, dict(headers or {})

    def body(self, request_id: str | None) -> ProblemBody:
        """The document."""
        return ProblemBody(
            type=f"urn:ray-iqa:problem:{self.name}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            instance=request_id,
            pointer=self.pointer,
        )

    def response(self, request_id: str | None) -> JSONResponse:
        """The document with its status and headers."""
        return JSONResponse(self.body(request_id).model_dump(exclude_none=True), self.status, self.headers, MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:  # Any: FastAPI's own dictionary
    """Entries of an OpenAPI operation for these problem statuses."""
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def as_problem(error: Exception) -> Problem:
    """The problem that an error of any layer amounts to; unknown ones are logged and say nothing of the inside."""
    match error:
        case Problem():
            return error
        case BusyError():
            retry_after = {"Retry-After": str(max(1, round(error.retry_after_s)))}
            return Problem(503, "busy", str(error), headers=retry_after)
        case UnknownModelError():
            return Problem(404, "no-such-model", str(error), pointer="/model")
        case RefusedError():
            return Problem(422, "refused-by-model", str(error))
        case TimeoutError():
            return Problem(
                504, "timeout", "the answer took longer than the service allows; send fewer or smaller images"
            )
        case HTTPException(__cause__=Problem() as cause):  # FastAPI's, about a body that ended at a limit
            return cause
        case HTTPException():
            return _of_starlette(error)
        case RequestValidationError():
            first = error.errors()[0]
            if first["type"] == "json_invalid":
                return Problem(400, "bad-json", f"the body must be JSON: {first['ctx'].get('error', first['msg'])}")
            pointer = "/" + "/".join(str(part) for part in first["loc"][1:])
            return Problem(422, "invalid-request", first["msg"], pointer=pointer)
        case _:
            logger.error("request failed", exc_info=error)
            return Problem(500, "internal", "the service failed; report the instance if it happens again")


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem document."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        problem = as_problem(error)
        request.state.problem = problem.name
        return problem.response(getattr(request.state, "request_id", None))

    for kind in (
        Problem,
        BusyError,
        UnknownModelError,
        RefusedError,
        TimeoutError,
        HTTPException,
        RequestValidationError,
    ):
        app.add_exception_handler(kind, answer)


def _of_starlette(error: HTTPException) -> Problem:
    names = {400: "bad-request", 404: "not-found", 405: "method-not-allowed"}
    name = names.get(error.status_code, "http-error")
    return Problem(error.status_code, name, str(error.detail), headers=error.headers)
