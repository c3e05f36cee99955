"""What one replica of the endpoint tells Prometheus at `/metrics`; what models tell is in Ray's own exporter."""

from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import Scope

from ray_iqa.http.auth.keys import KeyRing

_SECONDS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0]


class HttpMetrics:
    """Requests by route, never by what strangers write into a path, and what is wrong with the file of ``keys``."""

    def __init__(self, keys: KeyRing | None = None) -> None:
        self._registry = CollectorRegistry()
        labels = ("route", "method", "status", "problem")
        self._requests = Counter("ray_iqa_http_requests", "answers", labels, registry=self._registry)
        self._seconds = Histogram(
            "ray_iqa_http_seconds",
            "from the first byte of a request to the last of its answer",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._bytes = Counter("ray_iqa_http_request_bytes", "bodies", ("route",), registry=self._registry)
        if keys is not None:
            problems = Gauge("ray_iqa_http_key_problems", "of the file of keys, see /readyz", registry=self._registry)
            problems.set_function(lambda: len(keys.problems))

    def observe(self, scope: Scope, status: int, num_bytes: int, seconds: float) -> None:
        """Report one answer; status 499 is a client that went away before there was one."""
        path = getattr(scope.get("route"), "path", None) or "other"
        problem = str(scope["state"].get("problem", ""))
        self._requests.labels(path, scope["method"] if path != "other" else "", str(status), problem).inc()
        self._seconds.labels(path).observe(seconds)
        self._bytes.labels(path).inc(num_bytes)

    def response(self) -> Response:
        """All of it, in Prometheus' text format."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
