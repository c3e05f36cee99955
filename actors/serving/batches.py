"""Batches of the HTTP endpoint: `ray-iqa batch-score` as a Ray job."""

import asyncio
import logging
import re
import sys
import uuid
from pathlib import Path

import ray
import yaml
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from actors.exit_codes import SOME_FAILED
from ray_iqa.config.serve import BatchesConfig
from ray_iqa.files import write_text
from ray_iqa.http.problems import Problem
from ray_iqa.http.routes.batches import BatchReply, BatchRequest, BatchStatus
from ray_iqa.serving.types import BusyError

logger = logging.getLogger(__name__)
_STATUS: dict[JobStatus, BatchStatus] = {
    JobStatus.PENDING: "queued",
    JobStatus.RUNNING: "in_progress",
    JobStatus.SUCCEEDED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.STOPPED: "cancelled",
}
_ID = re.compile(r"batch-[0-9a-f]{32}")


class RayBatchJobs:
    """`http.routes.batches.BatchJobs` over the cluster's job server (the dashboard must run)."""

    def __init__(self, config: BatchesConfig, artifact: str) -> None:
        self._inputs, self._outputs = Path(config.inputs).resolve(), Path(config.outputs).resolve()
        self._artifact = artifact
        self._client: JobSubmissionClient | None = None

    async def submit(self, batch: BatchRequest, owner: str) -> BatchReply:
        """See `BatchJobs.submit`."""
        source = (self._inputs / batch.input).resolve()
        if not (source.is_relative_to(self._inputs) and source.exists()):
            raise Problem(
                404, "no-such-input", "there is no such folder or manifest among the inputs", pointer="/input"
            )
        batch_id = f"batch-{uuid.uuid4().hex}"
        await asyncio.to_thread(self._submit, batch_id, source, {"owner": owner, "input": batch.input})
        return BatchReply(id=batch_id, status="queued", input=batch.input, output=batch_id)

    async def find(self, batch_id: str, owner: str) -> BatchReply | None:
        """See `BatchJobs.find`."""
        if not _ID.fullmatch(batch_id):  # it becomes part of a URL of the job server
            return None
        job = await asyncio.to_thread(self._details, batch_id)
        metadata = (job.metadata or {}) if job else {}
        if job is None or metadata.get("owner") != owner:
            return None
        status = "completed" if job.driver_exit_code == SOME_FAILED else _STATUS[job.status]
        return BatchReply(
            id=batch_id,
            status=status,
            input=metadata["input"],
            output=batch_id,
            detail=job.message if status == "failed" else None,
        )

    def _submit(self, batch_id: str, source: Path, metadata: dict[str, str]) -> None:
        run_dir = self._outputs / batch_id
        config = {
            "run_dir": str(run_dir),
            "images": {"sources": [str(source)], "split": None},
            "model": self._artifact,
            "cluster": {"device": "cpu"},
        }
        file = self._outputs / f"{batch_id}.yaml"
        write_text(file, yaml.safe_dump(config))
        # The job runs the code that this service runs: installed, or in the working directory that came with it.
        code = {name: value for name, value in ray.get_runtime_context().runtime_env.items() if name == "working_dir"}
        try:
            self._connected().submit_job(
                entrypoint=f"{sys.executable} -m actors batch-score --config '{file}'",
                submission_id=batch_id,
                metadata=metadata,
                runtime_env=code,
            )
        except RuntimeError as error:  # no node's agent is up yet, or the head is busy
            logger.warning("the job server refused a batch: %s", error)
            raise BusyError("the cluster's job server takes no job now", 5.0) from error

    def _details(self, batch_id: str) -> JobDetails | None:
        try:
            return self._connected().get_job_info(batch_id)
        except RuntimeError as error:  # the client's one error; its text holds the status
            if "404" in str(error) or "does not exist" in str(error):
                return None
            raise BusyError("the cluster's job server does not answer", 5.0) from error

    def _connected(self) -> JobSubmissionClient:
        if self._client is None:
            try:
                self._client = JobSubmissionClient(ray.get_runtime_context().gcs_address)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise BusyError("the cluster's job server does not answer", 5.0) from error
        return self._client
