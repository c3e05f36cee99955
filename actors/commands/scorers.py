"""`ray-iqa convert-rali | export-onnx`: a light scorer from, and to, files of others."""

import sys

from ray_iqa.files import writable_file, writable_folder


def convert(source: str, out: str) -> int:
    """The authors' files in ``source`` -> an artifact in folder ``out``; the exit code."""
    from ray_iqa.rali.integrations.released import convert_released
    from ray_iqa.rali.model.artifact import save_artifact

    writable_folder(out)
    save_artifact(convert_released(source), out)
    sys.stdout.write(f"Scorer: {out}\n")
    return 0


def export_onnx(model: str, out: str) -> int:
    """The artifact in folder ``model`` -> file ``out``; the exit code."""
    from ray_iqa.rali.integrations import onnx
    from ray_iqa.rali.scorer import RaliScorer

    writable_file(out)
    onnx.export_onnx(RaliScorer.load(model), out)
    sys.stdout.write(f"ONNX: {out}\n")
    return 0
