"""Metrics of the package pyiqa, where it is installed; it is not a dependency.

Used of pyiqa: ``create_metric(name)``, calling the metric with a picture, its ``lower_better``.
"""

import importlib
import importlib.util
import math
from collections.abc import Sequence
from typing import Any

from PIL import Image

from ray_iqa.answers.verdict import Verdict
from ray_iqa.data.pictures import Picture, decoded_or_reason
from ray_iqa.errors import ConfigError


class PyiqaScorer:
    """A no-reference metric, turned so that higher is better.

    Args:
        metric: as ``pyiqa.create_metric`` takes it.
        device: as torch spells it.

    Raises:
        ConfigError: pyiqa is not installed, or has no metric of that name.
    """

    def __init__(self, metric: str, device: str) -> None:
        check_installed()
        pyiqa = importlib.import_module("pyiqa")
        try:
            self._metric: Any = pyiqa.create_metric(metric, device=device)  # Any: another package's class
        except (AssertionError, KeyError, ValueError) as error:
            raise ConfigError(f"pyiqa has no metric {metric!r}: {error}") from error
        self._sign = -1.0 if self._metric.lower_better else 1.0

    def score(self, pictures: Sequence[Picture]) -> list[Verdict]:
        """See `PictureScorer.score`; one picture at a time, as pictures of different sizes need."""
        return [self._score_one(decoded_or_reason(picture)) for picture in pictures]

    def _score_one(self, picture: Image.Image | str) -> Verdict:
        if isinstance(picture, str):
            return Verdict(value=None, reason=picture)
        try:
            score = self._sign * float(self._metric(picture))
        except Exception as error:  # noqa: BLE001 - a metric raises whatever it trips over, such as a tiny picture
            return Verdict(value=None, reason=f"the metric failed: {error!r}")
        if not math.isfinite(score):
            return Verdict(value=None, reason="the metric found no finite score")
        return Verdict(value=score)


def check_installed() -> None:
    """Look for the package without importing it.

    Raises:
        ConfigError: it is not installed.
    """
    if importlib.util.find_spec("pyiqa") is None:
        raise ConfigError("models called pyiqa:METRIC need the package pyiqa, which is not installed")
