"""Buckets, the allocation of centres, and centres against hand-made clusters."""

import numpy as np
import pytest
from pydantic import ValidationError

from ray_iqa.config.rali import BasisConfig
from ray_iqa.errors import ConfigError
from ray_iqa.rali.fit.basis import allocate_centres, fit_basis, score_buckets


def test_buckets_have_equal_width_between_lowest_and_highest_score() -> None:
    scores = np.array([2.0, 2.49, 2.5, 3.99, 4.0])  # four buckets of width 0.5
    np.testing.assert_array_equal(score_buckets(scores, 4), [0, 0, 1, 3, 3])
    np.testing.assert_array_equal(score_buckets(np.full(3, 2.5), 4), [0, 0, 0])


def test_spare_centres_go_to_the_bucket_with_most_images_per_centre() -> None:
    # 10, 0, 6, 3 images and 6 centres: 1 0 1 1, then 10/1, 6/1, and of 10/2 against 3/1 the first.
    assert allocate_centres([10, 0, 6, 3], [10, 0, 6, 3], 6) == [3, 0, 2, 1]


def test_bucket_gets_no_more_centres_than_different_images() -> None:
    assert allocate_centres([10, 2], [1, 2], 3) == [1, 2]
    with pytest.raises(ConfigError, match="got 4 > 3"):
        allocate_centres([10, 2], [1, 2], 4)


def test_one_vector_per_bucket_is_the_mean_feature_with_the_mean_score() -> None:
    rng = np.random.default_rng(0)
    features, scores = rng.normal(size=(50, 3)).astype(np.float32), rng.uniform(1, 5, 50)
    basis = fit_basis(features, scores, BasisConfig(num_buckets=4, num_vectors=4), seed=0)
    edges = np.linspace(scores.min(), scores.max(), 5)
    for number in range(4):
        inside = (scores >= edges[number]) & ((scores < edges[number + 1]) | (number == 3))
        np.testing.assert_allclose(basis.vectors[number], features[inside].mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(basis.scores[number], scores[inside].mean(), atol=1e-6)


def test_clusters_inside_a_bucket_are_found_and_scored_by_their_members() -> None:
    low, high = np.random.default_rng(1).normal(0, 0.01, (2, 20, 2))
    features = np.concatenate([low, high + np.array([5.0, 0.0])]).astype(np.float32)
    scores = np.concatenate([np.full(20, 2.0), np.full(20, 2.1)])
    basis = fit_basis(features, scores, BasisConfig(bucketed=False, num_vectors=2), seed=3)
    order = np.argsort(basis.vectors[:, 0])
    np.testing.assert_allclose(basis.vectors[order, 0], [0.0, 5.0], atol=0.02)
    np.testing.assert_allclose(basis.scores[order], [2.0, 2.1], atol=1e-6)


def test_basis_has_the_asked_number_of_vectors_and_repeats_with_its_seed() -> None:
    rng = np.random.default_rng(2)
    features, scores = rng.normal(size=(400, 5)).astype(np.float32), rng.normal(3, 0.5, 400)
    config = BasisConfig(num_buckets=30, num_vectors=45, kmeans_restarts=2)
    first, second = (fit_basis(features, scores, config, seed=1) for _ in range(2))
    assert first.vectors.shape == (45, 5)
    np.testing.assert_array_equal(first.vectors, second.vectors)


def test_fewer_vectors_than_buckets_is_a_configuration_error() -> None:
    with pytest.raises(ValidationError, match="got 20 < 240"):
        BasisConfig(num_vectors=20)
    assert BasisConfig(num_vectors=20, bucketed=False).num_vectors == 20
