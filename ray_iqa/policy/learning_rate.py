"""The learning rate as a pure function of the update's number, so that a resumed run needs no scheduler state."""

from ray_iqa.config.learner import DeepSpeedLearnerConfig


def learning_rate_at(update: int, config: DeepSpeedLearnerConfig, num_steps: int) -> float:
    """Linear warm-up, then linear decay.

    The first update after the warm-up has the peak; the decay would end one update after the last, as in
    the schedule VisualQuality-R1 was trained with.

    Args:
        update: counted from 1.
        config: peak, length of the warm-up and where the decay ends.
        num_steps: updates of the whole run.
    """
    if update <= config.warmup_steps:
        return config.learning_rate * update / config.warmup_steps
    done = (update - 1 - config.warmup_steps) / max(num_steps - config.warmup_steps, 1)
    floor = config.final_learning_rate_fraction
    return config.learning_rate * (floor + (1.0 - floor) * max(1.0 - done, 0.0))
