"""A running HTTP endpoint among the scorers that are compared."""

import time
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urldefrag

from ray_iqa.answers.verdict import Verdict
from ray_iqa.client import Client, EndpointError
from ray_iqa.data.images import picture_bytes
from ray_iqa.errors import DataError
from ray_iqa.types import LabelledImage

_TOO_LARGE = 413


class EndpointScorer:
    """Asks a service for scores; the API key is in the environment variable RAY_IQA_KEY.

    Args:
        url: of the service; ``#NAME`` behind it asks for that model of several.
    """

    def __init__(self, url: str) -> None:
        self._url, model = urldefrag(url)
        self._model = model or None

    def predict(self, images: Sequence[LabelledImage]) -> list[Verdict]:
        """See `Scorer.predict`; a file that is not there is not sent."""
        contents: list[bytes] = []
        predictions: list[Verdict | None] = []
        for image in images:
            try:
                contents.append(picture_bytes(image.image_path))
                predictions.append(None)
            except DataError as error:
                predictions.append(Verdict(value=None, reason=str(error)))
        began = time.perf_counter()
        with Client(self._url) as client:
            answers = iter(self._ask(client, contents))
        seconds = (time.perf_counter() - began) / max(1, len(contents))
        return [
            replace(next(answers), seconds=seconds) if prediction is None else prediction for prediction in predictions
        ]

    def _ask(self, client: Client, contents: Sequence[bytes]) -> list[Verdict]:
        """What is too much for one request is asked in halves; a picture that is too large alone has failed."""
        try:
            items = list(client.score(contents, self._model))
        except EndpointError as error:
            if error.status != _TOO_LARGE:
                raise
            if len(contents) == 1:
                return [Verdict(value=None, reason=str(error))]
            half = len(contents) // 2
            return self._ask(client, contents[:half]) + self._ask(client, contents[half:])
        return [Verdict(value=item.value, spread=item.spread, reason=item.reason) for item in items]
