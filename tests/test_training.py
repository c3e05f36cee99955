"""What the loop refuses before any engine works; the loop itself is tested on the engines."""

from types import SimpleNamespace

import pytest

from ray_iqa.config.train import ScheduleConfig
from ray_iqa.errors import ConfigError
from ray_iqa.training import train
from ray_iqa.types import Progress


def test_a_run_without_an_update_that_has_no_step_left_is_no_success() -> None:
    stopped = SimpleNamespace(learner=SimpleNamespace(restore=lambda: Progress(step=3)))
    with pytest.raises(ConfigError, match="none of the run's 3 steps was an update"):
        train(stopped, ScheduleConfig(num_steps=3))
