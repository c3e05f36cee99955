"""`POST /v1/batches`: scoring a whole folder as a job of the cluster, for more pictures than requests are for."""

from typing import Literal, Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from ray_iqa.http.problems import Problem, responses

BatchStatus = Literal["queued", "in_progress", "completed", "failed", "cancelled"]


class BatchRequest(BaseModel):
    """Which pictures are to be scored."""

    model_config = ConfigDict(extra="forbid")

    input: str = Field(
        description="Folder or manifest below the folder of inputs that the service is configured with.",
        max_length=500,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]*(/[A-Za-z0-9_][A-Za-z0-9_. -]*)*$",
    )
    model: Literal["light"] = "light"


class BatchReply(BaseModel):
    """A job; its scores are Parquet files below `output`."""

    id: str
    object: Literal["batch"] = "batch"
    status: BatchStatus
    input: str
    output: str = Field(description="Folder below the folder of outputs that the service is configured with.")
    detail: str | None = Field(default=None, description="What the job said last, once it failed.")


class BatchJobs(Protocol):
    """Jobs of the cluster; each belongs to the key that asked for it."""

    async def submit(self, batch: BatchRequest, owner: str) -> BatchReply:
        """Start a job.

        Raises:
            Problem: 404, there is no such input.
            BusyError: the cluster takes no jobs now.
        """
        ...

    async def find(self, batch_id: str, owner: str) -> BatchReply | None:
        """The job as it is now; None when this owner has none of that id.

        Raises:
            BusyError: the cluster does not answer now.
        """
        ...


def batch_routes(jobs: BatchJobs) -> APIRouter:
    """The routes over ``jobs``."""
    router = APIRouter(tags=["batches"])

    @router.post("/v1/batches", status_code=202, responses=responses(400, 401, 403, 404, 408, 413, 422, 429, 503, 504))
    async def submit(batch: BatchRequest, request: Request) -> BatchReply:
        """Score a folder; ask for the job's id until it is completed."""
        return await jobs.submit(batch, request.state.key_name)

    @router.get("/v1/batches/{batch_id}", responses=responses(401, 403, 404, 422, 429, 503, 504))
    async def find(batch_id: str, request: Request) -> BatchReply:
        """How far a job is."""
        reply = await jobs.find(batch_id, request.state.key_name)
        if reply is None:
            raise Problem(404, "no-such-batch", "none of this key's batches has that id")
        return reply

    return router
