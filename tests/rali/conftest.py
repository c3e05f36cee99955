import numpy as np
import pytest
from numpy.typing import NDArray

from ray_iqa.rali.fit.small_clip import build_small_clip
from ray_iqa.rali.model.artifact import Artifact
from ray_iqa.rali.model.encoders import Clip
from ray_iqa.rali.model.head import Projection, RaliHead, ScoreBasis
from ray_iqa.rali.scorer import RaliScorer


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Random weights, 56 pixels; tests must not train it."""
    return build_small_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def random_scorer(small_clip: Clip) -> RaliScorer:
    """Random head over the random tower: scale vector and mean are far from their neutral values."""
    return RaliScorer(
        Artifact(
            encoder=small_clip.image,
            head=build_head(width=64, num_components=24, num_vectors=40),
            provenance={"made_by": "a test"},
        )
    )


def build_head(width: int, num_components: int, num_vectors: int) -> RaliHead:
    rng = np.random.default_rng(5)

    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.normal(size=shape).astype(np.float32)

    return RaliHead.from_parts(
        Projection(
            mean=normal(width),
            scale=rng.uniform(0.3, 2.0, width).astype(np.float32),
            components=normal(num_components, width),
        ),
        ScoreBasis(
            vectors=normal(num_vectors, num_components), scores=rng.uniform(1, 5, num_vectors).astype(np.float32)
        ),
        temperature=0.07,
    )


@pytest.fixture
def random_head() -> RaliHead:
    """30 features, 12 components, 17 vectors."""
    return build_head(width=30, num_components=12, num_vectors=17)


@pytest.fixture
def pictures() -> list[NDArray[np.uint8]]:
    """Seven pictures of different sizes."""
    rng = np.random.default_rng(0)
    sizes = [(56, 56), (80, 60), (57, 90), (130, 64), (40, 40), (56, 57), (200, 300)]
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
