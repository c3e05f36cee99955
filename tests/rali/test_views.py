"""Squares of a picture's own pixels beside the resized view: what is cut, pooled, kept and exported."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from ray_iqa.rali.integrations.onnx import export_onnx
from ray_iqa.rali.model.crops import ImageCrop
from ray_iqa.rali.scorer import RaliScorer

CUT = ImageCrop(size=56, resize="shortest", interpolation="bicubic")
CROPPED = CUT.model_copy(update={"crops": 4})


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def cropping(random_scorer: RaliScorer) -> RaliScorer:
    artifact = random_scorer.artifact
    preprocessing = artifact.encoder.preprocessing.model_copy(update={"crops": 4})
    return RaliScorer(replace(artifact, encoder=replace(artifact.encoder, preprocessing=preprocessing)))


def test_the_first_view_is_the_resized_centre_and_the_others_are_the_pictures_own_pixels() -> None:
    source = picture(300, 200)
    views = CROPPED.square(source).reshape(5, 3, 56, 56)
    assert np.array_equal(views[0], CUT.square(source))
    windows = np.lib.stride_tricks.sliding_window_view(source, (56, 56), axis=(0, 1))
    corners = [np.argwhere((windows == view).all(axis=(2, 3, 4))) for view in views[1:]]
    assert [len(found) for found in corners] == [1, 1, 1, 1]
    tops, lefts = np.concatenate(corners).T
    assert len(set(tops)) == len(set(lefts)) == 4
    assert (tops.max() - tops.min()) > 0.4 * (300 - 56)  # spread over the picture


def test_a_picture_that_is_smaller_than_a_crop_is_seen_whole_each_time() -> None:
    views = CROPPED.square(picture(40, 90)).reshape(5, 3, 56, 56)
    assert all(np.array_equal(view, views[0]) for view in views)


def test_tensors_are_cut_as_pictures_are(cropping: RaliScorer) -> None:
    preprocessing, source = cropping.artifact.encoder.preprocessing, picture(112, 112)
    tensor = torch.from_numpy(source).permute(2, 0, 1).float() / 255
    by_pixels, by_tensor = preprocessing.pixels(source), preprocessing.pixels(tensor)
    assert torch.allclose(by_pixels[3:], by_tensor[3:], atol=1e-5)


def test_features_are_means_over_the_views_whichever_way_a_picture_is_scored(
    random_scorer: RaliScorer, cropping: RaliScorer, tmp_path: Path
) -> None:
    sources = [picture(300, 200), picture(90, 150)]
    views = [Image.fromarray(view.transpose(1, 2, 0)) for view in CROPPED.square(sources[0]).reshape(5, 3, 56, 56)]
    single = random_scorer.artifact.encoder.features(views)
    pooled = cropping.artifact.encoder.features(sources[:1])
    np.testing.assert_allclose(pooled[0], single.mean(axis=0), rtol=0, atol=1e-5)
    scores = [row.value for row in cropping.score(sources)]
    centres = np.stack([CROPPED.square(source) for source in sources])
    np.testing.assert_allclose([row.value for row in cropping.score_centres(centres)], scores, rtol=0, atol=1e-5)
    assert scores != [row.value for row in random_scorer.score(sources)]
    cropping.save(tmp_path / "scorer")
    again = RaliScorer.load(tmp_path / "scorer")
    np.testing.assert_allclose([row.value for row in again.score(sources)], scores, rtol=0, atol=1e-6)
    tensors = torch.stack([torch.from_numpy(sources[0]).permute(2, 0, 1).float() / 255]).requires_grad_()
    again.differentiable(tensors).sum().backward()
    assert tensors.grad is not None
    assert tensors.grad.abs().sum() > 0


def test_the_exported_graph_takes_all_views(cropping: RaliScorer, tmp_path: Path) -> None:
    export_onnx(cropping, tmp_path / "rali.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "rali.onnx", providers=["CPUExecutionProvider"])
    sources = [picture(300, 200), picture(90, 150), picture(64, 64)]
    views = np.stack([CROPPED.square(source) for source in sources]).astype(np.float32) / 255
    (scores,) = session.run(["scores"], {"images": views})
    np.testing.assert_allclose(scores, [row.value for row in cropping.score(sources)], rtol=0, atol=1e-4)
