"""The light scorer as the HTTP endpoint wants it."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ray_iqa.config.serve import LightModelConfig
from ray_iqa.files import content_digest
from ray_iqa.serving.types import ModelCard, PictureScore


class LightModel:
    """One loaded artifact that knows its name and revision.

    Raises:
        ConfigError: the folder holds no artifact, or as `RaliScorer`.
        DataError: its files are damaged.
    """

    def __init__(self, config: LightModelConfig, max_pixels: int) -> None:
        from ray_iqa.rali.model.artifact import CARD, TENSORS
        from ray_iqa.rali.scorer import RaliScorer  # torch: only where a light scorer is served

        self._scorer = RaliScorer.load(config.artifact, config.device, config.precision)
        self._tower_pixels = self._scorer.artifact.encoder.preprocessing.num_pixels
        self._max_batch_pixels = config.max_batch_pixels
        rounded = "" if config.precision == "fp32" else f"-{config.precision}"
        digest = content_digest(Path(config.artifact) / name for name in (CARD, TENSORS))
        self.card = ModelCard(id="light", revision=digest + rounded, max_pixels=max_pixels)

    def weight(self, picture: Image.Image) -> int:
        """Pixels that a picture costs: its own and the tower's; never more than a whole batch."""
        return min(picture.width * picture.height + self._tower_pixels, self._max_batch_pixels)

    def score(self, pictures: Sequence[Image.Image]) -> list[PictureScore]:
        """One row per picture, in order. The company of other pictures changes a score by less than 1e-4."""
        verdicts = self._scorer.score(pictures, batch_size=max(1, len(pictures)))
        return [self.card.score(verdict, picture.size) for verdict, picture in zip(verdicts, pictures, strict=True)]
