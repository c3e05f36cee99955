"""Stage 2: PCA of image features, then vectors with a score each, the k-means centres of images of nearly equal score.

Features are not normalised before, components are not scaled after. The released scorer divides centred features by
``scale`` as well, which a plain PCA does not have; it is kept, as ones, so that released weights fit the format.

The paper does not say how 240 buckets come to exactly 250 centres. Here every bucket with images gets one; the rest
go one at a time to the bucket with the most images per centre, the lowest of equals first, and never beyond its number
of different images. Buckets divide the range between the lowest and the highest score found, not 1 to 5.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd
from sklearn.cluster import KMeans

from ray_iqa.config.rali import BasisConfig
from ray_iqa.errors import ConfigError
from ray_iqa.rali.model.head import Projection, ScoreBasis
from ray_iqa.seeds import derive_seed


def fit_pca(features: NDArray[np.float32], num_components: int) -> Projection:
    """The ``num_components`` directions of largest variance, each with its largest entry positive.

    Args:
        features: [M, D].
        num_components: C.

    Raises:
        ConfigError: more components than images or features.
    """
    most = min(features.shape)
    if num_components > most:
        raise ConfigError(
            f"projection.num_components must be at most {most}, for there are {len(features)} images "
            f"with {features.shape[1]} features each; got {num_components}"
        )
    mean = features.mean(axis=0, dtype=np.float64)
    _, _, directions = svd(features - mean, full_matrices=False)
    components = directions[:num_components]
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1, keepdims=True), axis=1)
    return Projection(
        mean=mean.astype(np.float32),
        scale=np.ones(features.shape[1], dtype=np.float32),
        components=(components * np.sign(largest)).astype(np.float32),
    )


def no_projection(width: int) -> Projection:
    """Features as they are, not even centred: the ablation without PCA."""
    return Projection(
        mean=np.zeros(width, dtype=np.float32),
        scale=np.ones(width, dtype=np.float32),
        components=np.eye(width, dtype=np.float32),
    )


def fit_basis(features: NDArray[np.float32], scores: NDArray[np.float64], config: BasisConfig, seed: int) -> ScoreBasis:
    """K-means within buckets of equal score (or over all images), each centre with its images' mean score.

    Args:
        features: [M, C], projected.
        scores: [M], targets on 1 to 5.
        config: number of buckets and vectors.
        seed: of the k-means starts.

    Raises:
        ConfigError: fewer different images than vectors.
    """
    buckets = score_buckets(scores, config.num_buckets) if config.bucketed else np.zeros(len(scores), dtype=np.int64)
    members = [np.flatnonzero(buckets == bucket) for bucket in range(int(buckets.max()) + 1)]
    capacities = [len(np.unique(features[rows], axis=0)) for rows in members]
    counts = allocate_centres([len(rows) for rows in members], capacities, config.num_vectors)
    vectors, values = [], []
    for bucket, (rows, count) in enumerate(zip(members, counts, strict=True)):
        if count == 0:
            continue
        labels = _cluster(features[rows], count, config.kmeans_restarts, derive_seed(seed, "k-means", bucket))
        for label in range(count):
            vectors.append(features[rows[labels == label]].mean(axis=0, dtype=np.float64))
            values.append(scores[rows[labels == label]].mean())
    return ScoreBasis(vectors=np.asarray(vectors, dtype=np.float32), scores=np.asarray(values, dtype=np.float32))


def score_buckets(scores: NDArray[np.float64], num_buckets: int) -> NDArray[np.int64]:
    """The bucket of each score, of ``num_buckets`` equal widths between the lowest and the highest: [M]."""
    low, high = scores.min(), scores.max()
    if low == high:
        return np.zeros(len(scores), dtype=np.int64)
    places = np.floor((scores - low) / (high - low) * num_buckets).astype(np.int64)
    return np.minimum(places, num_buckets - 1)


def allocate_centres(sizes: list[int], capacities: list[int], num_centres: int) -> list[int]:
    """Centres of each bucket, ``num_centres`` in all; the rule is in the module's description.

    Args:
        sizes: images of each bucket.
        capacities: different images of each bucket.
        num_centres: at least the number of buckets that have images.

    Raises:
        ConfigError: more centres than different images.
    """
    if num_centres > sum(capacities):
        raise ConfigError(
            f"basis.num_vectors must be at most the number of different training images, "
            f"got {num_centres} > {sum(capacities)}"
        )
    counts = [int(size > 0) for size in sizes]
    while sum(counts) < num_centres:
        open_buckets = [bucket for bucket, count in enumerate(counts) if count < capacities[bucket]]
        counts[max(open_buckets, key=lambda bucket: sizes[bucket] / counts[bucket])] += 1
    return counts


def _cluster(features: NDArray[np.float32], count: int, restarts: int, seed: int) -> NDArray[np.int64]:
    """A label below ``count`` for each row; every label occurs."""
    if count == 1:
        return np.zeros(len(features), dtype=np.int64)
    k_means = KMeans(count, n_init=restarts, random_state=seed % 2**32)
    return k_means.fit_predict(features).astype(np.int64)
