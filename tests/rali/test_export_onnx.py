"""The exported graph, run by ONNX Runtime, against the scorer."""

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from ray_iqa.rali.integrations.onnx import export_onnx
from ray_iqa.rali.scorer import RaliScorer


def test_exported_scores_equal_to_1e_4_for_any_batch(random_scorer: RaliScorer, tmp_path: Path) -> None:
    export_onnx(random_scorer, tmp_path / "rali.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "rali.onnx", providers=["CPUExecutionProvider"])
    for count in (1, 2, 5):
        images = torch.rand(count, 3, 56, 56, generator=torch.Generator().manual_seed(count))
        (scores,) = session.run(["scores"], {"images": images.numpy()})
        expected = [row.value for row in random_scorer.score(images)]
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4)
        assert scores.dtype == np.float32
