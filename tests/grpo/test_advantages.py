import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ray_iqa.grpo.advantages import dr_grpo_advantages, group_relative_advantages

# Totals of the three reference images (ranking reward plus format), worked out by hand from the published formulas.
REWARDS = np.array(
    [
        [1.978792, 1.995162, 1.928488, 1.980864],
        [2.000944, 1.999200, 2.000640, 1.993861],
        [1.997577, 1.997577, 1.997577, 1.997577],
        [1.978792, 1.995162, 0.928488, 1.980864],  # the first with the third answer out of format
    ],
    dtype=np.float32,
)
ALL = np.ones((4, 4), dtype=np.bool_)


def test_published_advantages() -> None:
    np.testing.assert_allclose(
        group_relative_advantages(REWARDS, ALL),
        [
            [0.2723, 0.8320, -1.4475, 0.3432],
            [0.6736, 0.1589, 0.5837, -1.4163],
            [0, 0, 0, 0],
            [0.4882, 0.5192, -1.4996, 0.4921],
        ],
        atol=2e-4,
    )


def test_dr_grpo_only_subtracts_the_mean() -> None:
    np.testing.assert_allclose(dr_grpo_advantages(REWARDS, ALL), REWARDS - REWARDS.mean(axis=1)[:, None], atol=1e-6)


@pytest.mark.parametrize("advantages", [group_relative_advantages, dr_grpo_advantages])
def test_untrainable_entries_do_not_count(advantages: object) -> None:
    rewards = np.array([[1.0, 2.0, 9.0], [1.0, 2.0, 9.0], [1.0, 2.0, 9.0]], dtype=np.float32)
    trainable = np.array([[True, True, False], [True, False, False], [False, False, False]])
    result = advantages(rewards, trainable)
    np.testing.assert_array_equal(result[0, :2], advantages(rewards[:1, :2], trainable[:1, :2])[0])
    assert result[0, 0] < 0 < result[0, 1]
    assert not result[0, 2:].any()
    assert not result[1:].any()


@given(arrays(np.float32, (3, 5), elements=st.floats(0, 2, width=32)), st.floats(0, 2, width=32))
def test_advantages_sum_to_zero_and_vanish_for_equal_rewards(rewards: np.ndarray, constant: float) -> None:
    trainable = np.ones_like(rewards, dtype=np.bool_)
    np.testing.assert_allclose(group_relative_advantages(rewards, trainable).sum(axis=1), 0, atol=1e-5)
    assert not group_relative_advantages(np.full_like(rewards, constant), trainable).any()
