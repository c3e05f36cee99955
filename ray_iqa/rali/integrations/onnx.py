"""A scorer as one ONNX graph: pixels in, scores out."""

from pathlib import Path

import onnxscript  # noqa: F401 - torch imports it too, after the work
import torch

from ray_iqa.files import whole_file
from ray_iqa.rali.model.artifact import ScoringNetwork
from ray_iqa.rali.scorer import RaliScorer

INPUT, OUTPUT = "images", "scores"
_OPSET = 18


def export_onnx(scorer: RaliScorer, file: str | Path) -> None:
    """Write ``file``; needs the packages ``onnx`` and ``onnxscript``.

    The graph has one input ``images``, float32 [n, 3 V, S, S] in [0, 1], the V views of n pictures (one, but for
    scorers that were fitted with crops), resized and cropped already, and one output ``scores``, float32 [n].
    Normalisation is part of the graph, decoding and resizing are not.
    """
    graph = ScoringNetwork(scorer.artifact).eval()
    shape, device = graph.preprocessing.shape, next(graph.parameters()).device
    with whole_file(file) as partial:
        torch.onnx.export(
            graph,
            (torch.rand(2, *shape, device=device),),
            partial,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            opset_version=_OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
