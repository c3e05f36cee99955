"""Metrics of the package pyiqa, where it is installed; it is not a dependency.

Used of pyiqa: ``create_metric(name)``, calling the metric with a picture, its ``lower_better``.
"""

import importlib
import importlib.util
import math
import time
from collections.abc import Sequence
from typing import Any

from ray_iqa.answers.verdict import Verdict
from ray_iqa.data.images import load_image
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.types import LabelledImage


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

    def predict(self, images: Sequence[LabelledImage]) -> list[Verdict]:
        """See `Scorer.predict`; one picture at a time, as pictures of different sizes need."""
        return [self._predict_one(image) for image in images]

    def _predict_one(self, image: LabelledImage) -> Verdict:
        began = time.perf_counter()
        try:
            picture = load_image(image.image_path)
        except DataError as error:
            return Verdict(value=None, reason=str(error))
        try:
            score = self._sign * float(self._metric(picture))
        except Exception as error:  # noqa: BLE001 - a metric raises whatever it trips over, such as a tiny picture
            return Verdict(value=None, reason=f"the metric failed: {error!r}")
        seconds = time.perf_counter() - began
        if not math.isfinite(score):
            return Verdict(value=None, reason="the metric found no finite score", seconds=seconds)
        return Verdict(value=score, seconds=seconds)


def check_installed() -> None:
    """Look for the package without importing it.

    Raises:
        ConfigError: it is not installed.
    """
    if importlib.util.find_spec("pyiqa") is None:
        raise ConfigError("models called pyiqa:METRIC need the package pyiqa, which is not installed")
