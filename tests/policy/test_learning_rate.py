import pytest

from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.policy.learning_rate import learning_rate_at


def rates(num_steps: int, **settings: float) -> list[float]:
    config = DeepSpeedLearnerConfig(learning_rate=1.0, **settings)
    return [learning_rate_at(update, config, num_steps) for update in range(1, num_steps + 1)]


def test_published_schedule_falls_linearly_from_the_peak() -> None:
    assert rates(4) == pytest.approx([1.0, 0.75, 0.5, 0.25])


def test_warm_up_ends_at_the_peak_and_the_decay_starts_there() -> None:
    assert rates(6, warmup_steps=2) == pytest.approx([0.5, 1.0, 1.0, 0.75, 0.5, 0.25])


def test_the_decay_heads_for_its_final_share() -> None:
    assert rates(4, final_learning_rate_fraction=0.2) == pytest.approx([1.0, 0.8, 0.6, 0.4])


def test_a_run_prolonged_after_its_end_stays_at_the_floor() -> None:
    config = DeepSpeedLearnerConfig(learning_rate=1.0, final_learning_rate_fraction=0.1)
    assert learning_rate_at(50, config, 4) == pytest.approx(0.1)
