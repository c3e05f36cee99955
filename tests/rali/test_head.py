"""The scoring formula against a direct transcription in float64."""

import math

import numpy as np
import pytest
import torch

from ray_iqa.rali.model.head import RaliHead


def transcription(head: RaliHead, features: np.ndarray) -> list[float]:
    """x -> ((x - mean) / |scale|) U^T; c_i = cos(., mu_i); w = softmax(c / tau); sum of w_i f_i."""
    state = {name: tensor.double().numpy() for name, tensor in head.state_dict().items()}
    scores = []
    for x in features.astype(np.float64):
        projected = state["components"] @ ((x - state["mean"]) / np.abs(state["scale"]))
        cosines = [
            float(projected @ vector / math.sqrt(projected @ projected) / math.sqrt(vector @ vector))
            for vector in state["vectors"]
        ]
        weights = [math.exp(cosine / float(state["temperature"])) for cosine in cosines]
        scores.append(sum(w * f for w, f in zip(weights, state["scores"], strict=True)) / sum(weights))
    return scores


def test_scores_equal_the_formula_on_random_weights(random_head: RaliHead) -> None:
    features = np.random.default_rng(1).normal(2, 3, (6, 30)).astype(np.float32)
    with torch.no_grad():
        scores = random_head(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(scores, transcription(random_head, features), rtol=1e-5)
    assert np.ptp(scores) > 0.3


def test_negative_scale_counts_by_its_size(random_head: RaliHead) -> None:
    features = torch.randn(4, 30, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = random_head(features)
        random_head.scale.neg_()
        assert torch.equal(random_head(features), before)


def test_the_spread_is_the_deviation_of_the_mixed_scores(random_head: RaliHead) -> None:
    features = torch.randn(6, 30, generator=torch.Generator().manual_seed(4))
    projected = random_head.project(features).numpy().astype(np.float64)
    vectors, scores = random_head.vectors.detach().numpy(), random_head.scores.detach().numpy()
    cosines = projected @ vectors.T
    cosines /= np.linalg.norm(projected, axis=1)[:, None] * np.linalg.norm(vectors, axis=1)
    shares = np.exp(cosines / 0.07)
    shares /= shares.sum(axis=1, keepdims=True)
    expected = np.sqrt(shares @ scores**2 - (shares @ scores) ** 2)
    assert random_head.spread(features).detach().numpy() == pytest.approx(expected, abs=1e-4)
