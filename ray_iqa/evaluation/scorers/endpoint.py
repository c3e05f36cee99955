"""A running HTTP endpoint among the scorers that are compared."""

from collections.abc import Sequence
from urllib.parse import urldefrag

from ray_iqa.answers.verdict import Verdict
from ray_iqa.client import Client, EndpointError
from ray_iqa.data.pictures import Picture, encoded
from ray_iqa.errors import DataError

_TOO_LARGE = 413


class EndpointScorer:
    """Asks a service for scores; the API key is in the environment variable RAY_IQA_KEY.

    Args:
        url: of the service; ``#NAME`` behind it asks for that model of several.
    """

    def __init__(self, url: str) -> None:
        self._url, model = urldefrag(url)
        self._model = model or None

    def score(self, pictures: Sequence[Picture]) -> list[Verdict]:
        """See `PictureScorer.score`; a file that is not there is not sent."""
        contents: list[bytes] = []
        verdicts: list[Verdict | None] = []
        for picture in pictures:
            try:
                contents.append(encoded(picture))
                verdicts.append(None)
            except DataError as error:
                verdicts.append(Verdict(value=None, reason=str(error)))
        with Client(self._url) as client:
            answers = iter(self._ask(client, contents))
        return [next(answers) if verdict is None else verdict for verdict in verdicts]

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
