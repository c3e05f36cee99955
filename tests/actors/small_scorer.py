"""A light scorer of the demonstration's size with random weights."""

from pathlib import Path

import numpy as np

from ray_iqa.rali.fit.basis import no_projection
from ray_iqa.rali.fit.small_clip import build_small_clip
from ray_iqa.rali.model.artifact import Artifact
from ray_iqa.rali.model.head import RaliHead, ScoreBasis
from ray_iqa.rali.scorer import RaliScorer


def write_small_scorer(home: Path) -> Path:
    """Folder of the artifact."""
    rng = np.random.default_rng(0)
    vectors, scores = rng.normal(size=(9, 64)).astype(np.float32), rng.uniform(1, 5, 9).astype(np.float32)
    head = RaliHead.from_parts(no_projection(64), ScoreBasis(vectors=vectors, scores=scores), temperature=0.07)
    encoder = build_small_clip(home / "clip").image
    RaliScorer(Artifact(encoder=encoder, head=head, provenance={})).save(home / "scorer")
    return home / "scorer"
