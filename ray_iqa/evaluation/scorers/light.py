"""The light scorer among others that are compared."""

import time
from collections.abc import Sequence

from ray_iqa.answers.verdict import Verdict
from ray_iqa.rali.scorer import RaliScorer
from ray_iqa.types import LabelledImage


class LightScorer:
    """An artifact on one device.

    Args:
        folder: written by fit-rali or convert-rali.
        device: as torch spells it.
    """

    def __init__(self, folder: str, device: str) -> None:
        self._scorer = RaliScorer.load(folder, device)

    def predict(self, images: Sequence[LabelledImage]) -> list[Verdict]:
        """See `Scorer.predict`; ``spread`` is that of the basis scores in the mix, not calibrated."""
        began = time.perf_counter()
        rows = self._scorer.score([image.image_path for image in images])
        seconds = (time.perf_counter() - began) / max(1, len(images))
        return [Verdict(value=row.value, spread=row.spread, reason=row.reason, seconds=seconds) for row in rows]
