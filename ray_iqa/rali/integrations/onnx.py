"""A scorer as one ONNX graph: pixels in, scores out."""

from pathlib import Path

import onnxscript  # noqa: F401 - torch imports it too, after the work
import torch
from torch import Tensor, nn

from ray_iqa.files import whole_file
from ray_iqa.rali.model.preprocessing import Preprocessing
from ray_iqa.rali.scorer import RaliScorer

INPUT, OUTPUT = "images", "scores"
_OPSET = 18


class _Graph(nn.Module):
    """[n, 3, S, S] in [0, 1] -> scores [n]."""

    def __init__(self, tower: nn.Module, head: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.tower, self.head, self._preprocessing = tower, head, preprocessing

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.head(self.tower(self._preprocessing.normalised(images)))
        return scores


def export_onnx(scorer: RaliScorer, file: str | Path) -> None:
    """Write ``file``; needs the packages ``onnx`` and ``onnxscript``.

    The graph has one input ``images``, float32 [n, 3, S, S] in [0, 1], resized and cropped already, with any n, and
    one output ``scores``, float32 [n]. Normalisation is part of the graph, decoding and resizing are not.
    """
    encoder = scorer.artifact.encoder
    size = encoder.preprocessing.size
    graph = _Graph(encoder.tower, scorer.artifact.head, encoder.preprocessing).eval()
    device = next(encoder.tower.parameters()).device
    with whole_file(file) as partial:
        torch.onnx.export(
            graph,
            (torch.rand(2, 3, size, size, device=device),),
            partial,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            opset_version=_OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
