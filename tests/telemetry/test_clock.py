import time
from contextlib import suppress

from ray_iqa.telemetry.clock import StepClock


def test_phases_add_up_and_every_second_belongs_to_one_lap() -> None:
    began = time.perf_counter()
    clock = StepClock()
    for _ in range(2):
        with clock("learn"):
            time.sleep(0.02)
    time.sleep(0.02)  # in no phase, but in the lap
    first = clock.lap()
    time.sleep(0.02)  # between two laps
    with clock("learn"):
        time.sleep(0.02)
    second = clock.lap()
    assert set(first) == {"time/learn", "time/step"}
    assert first["time/learn"] >= 0.04
    assert first["time/step"] >= 0.06
    assert second["time/learn"] >= 0.02
    assert second["time/step"] >= 0.04
    assert first["time/step"] + second["time/step"] <= time.perf_counter() - began


def test_a_phase_that_raises_is_still_measured() -> None:
    clock = StepClock()
    with suppress(KeyError), clock("reward"):
        time.sleep(0.01)
        raise KeyError
    assert clock.lap()["time/reward"] >= 0.01
