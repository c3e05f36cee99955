"""`ray-iqa submit`: a job under a name of its own on a running cluster; the same command attaches or resumes.

`ray job submit` refuses an id it has seen and gives a stopped job three seconds. Here the attempts of a job are called
NAME-1, NAME-2, ...: at most one of them runs, a stop request has time for a checkpoint, and the job's own exit code
comes back.
"""

import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from actors.cluster.stop_signal import STOPPED
from ray_iqa.errors import ConfigError, ResourceError

TUNNEL = "http://127.0.0.1:8265"
"""Where `ray dashboard FILE` and `kubectl port-forward` put the dashboard of a cluster."""
STOP_WAIT_S = 900
"""A job that was asked to stop is killed after so many seconds: the step in hand and a checkpoint must fit."""


def run(name: str, address: str | None, arguments: Sequence[str]) -> int:
    """Run `ray-iqa ARGUMENTS` from the working directory on the cluster, its log on standard output.

    Raises:
        ConfigError: there is nothing to run.
        ResourceError: no cluster answers.
    """
    if arguments and arguments[0].startswith("-") and arguments[0] != "--":
        raise ConfigError(f"options of submit come before the name of the job, got {arguments[0]!r} behind it")
    words = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not words:
        raise ConfigError("submit must be told what to run: ray-iqa submit NAME -- train --config FILE")
    address = address or os.environ.get("RAY_API_SERVER_ADDRESS") or TUNNEL
    loopback = "localhost,127.0.0.1,::1"  # never through a proxy of the environment, which `requests` would take
    os.environ["no_proxy"] = ",".join(filter(None, (os.environ.get("no_proxy", os.environ.get("NO_PROXY")), loopback)))
    try:
        client = JobSubmissionClient(address)
    except AuthenticationError as error:
        raise ResourceError(
            f"the cluster at {address} wants its token in ~/.ray/auth_token: `ray get-auth-token --generate` makes one "
            f"before a cluster is started, else copy the cluster's, and export RAY_AUTH_MODE=token ({_sentence(error)})"
        ) from error
    except (ConnectionError, RuntimeError) as error:
        proxy = getproxies().get(urlsplit(address).scheme)
        through = "" if proxy is None or proxy_bypass(urlsplit(address).netloc) else f" through the proxy {proxy}"
        raise ResourceError(f"a Ray dashboard must answer at {address}{through}: {_sentence(error)}") from error
    return follow(client, attempt(client, name, shlex.join(["python", "-m", "actors", *words])))


def _sentence(error: Exception) -> str:
    return str(error).splitlines()[0].partition(". ")[0]


def attempt(client: JobSubmissionClient, name: str, entrypoint: str, working_dir: str = ".") -> str:
    """Id of the attempt that is running, else of a new one.

    Raises:
        ResourceError: an attempt is running with another command.
    """
    attempts = _attempts(client, name)
    if attempts and not attempts[-1].status.is_terminal():
        return _same(attempts[-1], entrypoint)
    environment = {
        "working_dir": working_dir,
        "excludes": [".git"],
        "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S), "PYTHONUNBUFFERED": "1"},
    }
    submission_id = f"{name}-{len(attempts) + 1}"
    try:
        return str(client.submit_job(entrypoint=entrypoint, submission_id=submission_id, runtime_env=environment))
    except RuntimeError:  # somebody else was faster, or the cluster cannot take it
        fastest = [job for job in _attempts(client, name) if job.submission_id == submission_id]
        if not fastest:
            raise
        return _same(fastest[0], entrypoint)


def follow(client: JobSubmissionClient, submission_id: str) -> int:
    """Print the job's log until it ends; its exit code, 143 when it was stopped, 1 when it could not start."""
    sys.stderr.write(
        f"job {submission_id}: Ctrl-C leaves it running, the same command comes back to it; "
        f"`ray job stop {submission_id}` ends it after a checkpoint\n"
    )
    asyncio.run(_print_log(client, submission_id))
    job = client.get_job_info(submission_id)
    if job.status == JobStatus.STOPPED:
        return STOPPED
    if job.driver_exit_code is None:
        sys.stderr.write(f"job {submission_id} {job.status}: {job.message}\n")
        return 1
    return int(job.driver_exit_code)


async def _print_log(client: JobSubmissionClient, submission_id: str) -> None:
    async for lines in client.tail_job_logs(submission_id):
        sys.stdout.write(lines)
        sys.stdout.flush()


def _attempts(client: JobSubmissionClient, name: str) -> list[JobDetails]:
    """In the order of their numbers."""
    numbered = {}
    for job in client.list_jobs():
        called, _, number = (job.submission_id or "").rpartition("-")
        if called == name and number.isdecimal():
            numbered[int(number)] = job
    return [job for _, job in sorted(numbered.items())]


def _same(job: JobDetails, entrypoint: str) -> str:
    if job.entrypoint != entrypoint:
        raise ResourceError(
            f"job {job.submission_id} is running another command, {job.entrypoint!r}: "
            f"stop it with `ray job stop {job.submission_id}` or choose another name"
        )
    return str(job.submission_id)
