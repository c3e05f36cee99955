"""What Prometheus gets from the node of the tests' cluster."""

import time
from collections.abc import Callable, Sequence

import httpx
import ray

POLL_S = 1.0
"""An export is work for Ray's agent: asked without a pause, it keeps a processor busy."""


def exported() -> str:
    port = ray.nodes()[0]["MetricsExportPort"]
    return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text


def await_exported(wanted: Sequence[str], between: Callable[[], object] = lambda: None) -> None:
    """Return once all of ``wanted`` is exported; call ``between`` after each look that misses some."""
    deadline = time.monotonic() + 300
    while missing := _missing(wanted, exported()):
        assert time.monotonic() < deadline, missing
        between()
        time.sleep(POLL_S)


def _missing(wanted: Sequence[str], text: str) -> list[str]:
    return [each for each in wanted if each not in text]
