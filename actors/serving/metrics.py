"""What models and ingress of the endpoint report to Prometheus, through Ray's own exporter.

Serve adds application, deployment and replica to every series, and reports requests, latency and queues itself.
"""

from collections.abc import Sequence

from ray.serve.metrics import Counter, Histogram
from starlette.types import ASGIApp, Receive, Scope, Send

from ray_iqa.serving.types import PictureScore

_SCORES = [1 + step / 4 for step in range(1, 17)]
_SPREADS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0]
_SECONDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0]


class ScoreMetrics:
    """Counts of one replica; a drift of the score histogram is a drift of what comes in, or of the model."""

    def __init__(self) -> None:
        answered = ("model", "revision")
        self._pictures = Counter("ray_iqa_pictures", "pictures answered, by status", tag_keys=("model", "status"))
        self._unreadable = Counter(
            "ray_iqa_unreadable_answers", "sampled answers without a readable score", tag_keys=answered
        )
        self._pixels = Counter("ray_iqa_pixels", "pixels of scored pictures", tag_keys=("model",))
        self._score = Histogram("ray_iqa_score", "scores given", boundaries=_SCORES, tag_keys=answered)
        self._spread = Histogram("ray_iqa_spread", "spreads of scores", boundaries=_SPREADS, tag_keys=answered)
        self._seconds = Histogram(
            "ray_iqa_call_seconds", "one call, decoding and waiting included", boundaries=_SECONDS, tag_keys=("model",)
        )
        self._decoding = Histogram("ray_iqa_decode_seconds", "one file in its decoder process", boundaries=_SECONDS)

    def observe_decoding(self, seconds: float) -> None:
        """Report one file that a decoder was busy with."""
        self._decoding.observe(seconds)

    def observe(self, rows: Sequence[PictureScore], seconds: float) -> None:
        """Report one call of a model."""
        for row in rows:
            self._pictures.inc(tags={"model": row.model, "status": row.status})
            if row.width and row.height:
                self._pixels.inc(row.width * row.height, tags={"model": row.model})
            tags = {"model": row.model, "revision": row.revision}
            if row.num_unreadable:
                self._unreadable.inc(row.num_unreadable, tags=tags)
            if row.value is not None:
                self._score.observe(row.value, tags=tags)
            if row.spread is not None:
                self._spread.observe(row.spread, tags=tags)
        if rows:
            self._seconds.observe(seconds, tags={"model": rows[0].model})


class RefusalMetrics:
    """ASGI middleware that counts the problems an ingress replica answers with, refused URLs among them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._refusals = Counter("ray_iqa_refusals", "problem documents, by name", tag_keys=("problem",))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await self._app(scope, receive, send)
        if problem := scope.get("state", {}).get("problem"):
            self._refusals.inc(tags={"problem": problem})
