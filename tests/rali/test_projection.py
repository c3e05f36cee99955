"""PCA against scikit-learn's."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from ray_iqa.errors import ConfigError
from ray_iqa.rali.fit.basis import fit_pca, no_projection

FEATURES = (np.random.default_rng(0).normal(size=(200, 20)) @ np.diag(np.linspace(3, 0.5, 20)) + 4).astype(np.float32)


def test_projected_features_equal_those_of_scikit_learn_up_to_sign() -> None:
    ours = fit_pca(FEATURES, 7).apply(FEATURES)
    theirs = PCA(7, svd_solver="full").fit_transform(FEATURES.astype(np.float64))
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-4)


def test_largest_entry_of_each_component_is_positive_so_that_signs_are_reproducible() -> None:
    components = fit_pca(FEATURES, 7).components
    mirrored = fit_pca(2 * FEATURES.mean(axis=0) - FEATURES, 7).components  # the same directions
    assert (components[np.arange(7), np.abs(components).argmax(axis=1)] > 0).all()
    np.testing.assert_allclose(mirrored, components, atol=1e-4)


def test_without_projection_features_stay_as_they_are() -> None:
    np.testing.assert_array_equal(no_projection(20).apply(FEATURES), FEATURES)


def test_too_many_components_are_named_with_the_limit() -> None:
    with pytest.raises(ConfigError, match=r"at most 20.*got 21"):
        fit_pca(FEATURES, 21)
    with pytest.raises(ConfigError, match=r"at most 5.*got 6"):
        fit_pca(FEATURES[:5], 6)
