"""The linear probe on features made for it."""

import numpy as np
import pytest

from ray_iqa.rali.fit.alignment_run import linear_probe_srcc


def test_probe_reads_what_is_linear_in_features_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 10)).astype(np.float32)
    linear = features @ rng.normal(size=10)
    noise = rng.normal(size=300)
    halves = slice(0, 200), slice(200, 300)
    assert linear_probe_srcc(*((features[part], linear[part]) for part in halves)) == pytest.approx(1, abs=1e-3)
    assert abs(linear_probe_srcc(*((features[part], noise[part]) for part in halves))) < 0.35
