"""The scorer from outside: rows, failures, batches, gradients, artifact, import cost."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from ray_iqa.answers.verdict import Verdict
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.rali.scorer import RaliScorer
from ray_iqa.types import Scale


def test_broken_pictures_are_rows_with_a_reason_at_their_place(
    random_scorer: RaliScorer, pictures: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(pictures[0]).save(path)
    rows = random_scorer.score([str(path), tmp_path / "none.png", pictures[0], b"broken", pictures[1]], batch_size=2)
    assert [row.status for row in rows] == ["ok", "failed", "ok", "failed", "ok"]
    assert rows[0] == rows[2]
    assert rows[1] == Verdict(value=None, reason=f"{path.parent / 'none.png'}: no such image file")
    assert "not a readable image" in rows[3].reason
    assert all(1 <= row.value <= 5 and row.scale == Scale(1, 5) for row in rows if row.value is not None)
    assert rows[4].value != rows[0].value


def test_only_broken_pictures_and_no_pictures(random_scorer: RaliScorer) -> None:
    assert [row.status for row in random_scorer.score([b"x", b"y"])] == ["failed", "failed"]
    assert random_scorer.score([]) == []


def test_scores_do_not_depend_on_the_batch(random_scorer: RaliScorer, pictures: list[NDArray[np.uint8]]) -> None:
    together = [row.value for row in random_scorer.score(pictures, batch_size=7)]
    alone = [row.value for row in random_scorer.score(pictures, batch_size=1)]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_score_that_is_not_finite_is_a_failure(random_scorer: RaliScorer) -> None:
    picture = np.zeros((56, 56, 3), np.uint8)
    weight = random_scorer.artifact.head.scores
    kept = weight[0].item()
    try:
        weight[0] = float("nan")
        row = random_scorer.score([picture])[0]
    finally:
        weight[0] = kept
    assert row.status == "failed"
    assert row.value is None
    assert "no finite score" in row.reason


def test_batch_tensor_and_differentiable_mode_agree_with_score(random_scorer: RaliScorer) -> None:
    images = torch.rand(3, 3, 70, 60, generator=torch.Generator().manual_seed(0))
    scores = random_scorer.differentiable(images)
    np.testing.assert_allclose([row.value for row in random_scorer.score(images)], scores.numpy(), atol=2e-6)


def test_gradient_equals_finite_differences(random_scorer: RaliScorer) -> None:
    """In float64, through resize, crop, normalisation, tower and head."""
    twin = RaliScorer(copy.deepcopy(random_scorer.artifact))
    twin.artifact.encoder.tower.double()
    twin.artifact.head.double()
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 3, 64, 60, generator=generator, dtype=torch.float64) * 0.5 + 0.25  # the filters clip nothing
    images.requires_grad_()
    twin.differentiable(images).sum().backward()
    direction = torch.randn(images.shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        step = 1e-6 * direction
        slope = (twin.differentiable(images + step) - twin.differentiable(images - step)).sum() / 2e-6
    assert float((images.grad * direction).sum()) == pytest.approx(float(slope), rel=1e-4)
    assert abs(float(slope)) > 1e-3
    assert all(parameter.grad is None for parameter in twin.artifact.encoder.tower.parameters())


def test_artifact_round_trip_scores_bit_for_bit_and_holds_the_vision_tower_only(
    random_scorer: RaliScorer, pictures: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    random_scorer.save(tmp_path)
    loaded = RaliScorer.load(tmp_path)
    assert loaded.score(pictures) == random_scorer.score(pictures)
    assert loaded.artifact.provenance == {"made_by": "a test"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rali.json", "rali.safetensors"]
    names = set(load_file(tmp_path / "rali.safetensors"))
    assert {name for name in names if not name.startswith("tower.")} == {
        f"head.{name}" for name in ("mean", "scale", "components", "vectors", "scores", "temperature")
    }
    assert not any("token_embedding" in name or "text" in name for name in names)


def test_damaged_artifacts_are_refused_with_the_file(random_scorer: RaliScorer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rali\.json"):
        RaliScorer.load(tmp_path)
    random_scorer.save(tmp_path)
    tensors_file, card_file = tmp_path / "rali.safetensors", tmp_path / "rali.json"
    tensors, card = load_file(tensors_file), json.loads(card_file.read_text())

    card_file.write_text(json.dumps({**card, "format_version": 2}))
    with pytest.raises(DataError, match="format_version"):
        RaliScorer.load(tmp_path)
    card_file.write_text(json.dumps(card))
    save_file({name: tensor for name, tensor in tensors.items() if name != "head.mean"}, tensors_file)
    with pytest.raises(DataError, match=r"head\.mean"):
        RaliScorer.load(tmp_path)
    save_file({name: tensor for name, tensor in tensors.items() if name != "tower.proj"}, tensors_file)
    with pytest.raises(DataError, match="proj"):
        RaliScorer.load(tmp_path)
    save_file({**tensors, "tower.surplus": torch.zeros(1)}, tensors_file)
    with pytest.raises(DataError, match="surplus"):
        RaliScorer.load(tmp_path)
    tensors_file.write_bytes(b"short")
    with pytest.raises(DataError, match="safetensors"):
        RaliScorer.load(tmp_path)
    tensors_file.unlink()
    with pytest.raises(ConfigError, match=r"rali\.safetensors"):
        RaliScorer.load(tmp_path)


def test_import_is_quick_and_brings_neither_torch_nor_a_clip_library() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import ray_iqa.rali.scorer; "
        "print(time.perf_counter() - start, [name for name in "
        "('torch', 'open_clip', 'transformers', 'timm', 'sklearn', 'ray', 'vllm', 'deepspeed') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    seconds, heavy = output.split(maxsplit=1)
    assert float(seconds) < 3
    assert heavy.strip() == "[]"


def test_scoring_needs_no_training_package(random_scorer: RaliScorer, tmp_path: Path) -> None:
    random_scorer.save(tmp_path)
    code = (
        "import sys; from ray_iqa.rali.scorer import RaliScorer; import numpy as np; "
        f"print(RaliScorer.load({str(tmp_path)!r}).score([np.zeros((56, 56, 3), np.uint8)])[0].value); "
        "print([name for name in ('ray', 'vllm', 'deepspeed', 'sklearn', 'ray_iqa.rali.fit.basis', "
        "'ray_iqa.rali.fit.alignment') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    value, heavy = output.splitlines()[-2:]
    assert float(value) == pytest.approx(random_scorer.score([np.zeros((56, 56, 3), np.uint8)])[0].value, abs=1e-6)
    assert heavy == "[]"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_scores_equal_those_of_the_cpu(
    random_scorer: RaliScorer, pictures: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    random_scorer.save(tmp_path)
    mixed = [*pictures, torch.rand(3, 60, 60), torch.rand(3, 60, 60, device="cuda")]
    expected = random_scorer.score([image.cpu() if isinstance(image, torch.Tensor) else image for image in mixed])
    found = RaliScorer.load(tmp_path, device="cuda").score(mixed)
    np.testing.assert_allclose([row.value for row in found], [row.value for row in expected], atol=5e-3)
