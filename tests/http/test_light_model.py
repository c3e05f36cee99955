"""What a light model says of itself."""

from pathlib import Path

import numpy as np
from PIL import Image

from ray_iqa.config.serve import LightModelConfig
from ray_iqa.serving.light_model import LightModel


def test_a_rounded_tower_is_another_revision_with_nearly_the_same_scores(artifact: Path) -> None:
    exact, rounded = (
        LightModel(LightModelConfig(artifact=str(artifact), precision=precision), max_pixels=10_000)
        for precision in ("fp32", "int8")
    )
    assert rounded.card.revision == f"{exact.card.revision}-int8"
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)) for _ in range(4)]
    expected, found = ([row.value for row in model.score(pictures)] for model in (exact, rounded))
    assert found != expected
    np.testing.assert_allclose(found, expected, atol=0.2)
