import pytest

from actors.training.fleet_size import STEPS_TO_RELEASE, WORTH_ASKING, FleetSize, helpful_workers


@pytest.mark.parametrize("busy_s", [0.5, 8.0, 100.0])
@pytest.mark.parametrize("rest_s", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("overlapped", [False, True])
def test_the_last_worker_is_worth_its_share_and_the_next_is_not(busy_s: float, rest_s: float, overlapped: bool) -> None:
    def step_s(workers: int) -> float:
        return max(busy_s / workers, rest_s) if overlapped else busy_s / workers + rest_s

    workers = helpful_workers(busy_s, rest_s, 1000, WORTH_ASKING, overlapped=overlapped)
    assert step_s(workers + 1) > 0.95 * step_s(workers)
    if workers > 1:
        assert step_s(workers) <= 0.95 * step_s(workers - 1)


def test_sampling_hidden_behind_the_learner_needs_no_more_workers() -> None:
    assert helpful_workers(8.0, 8.0, 64, WORTH_ASKING, overlapped=True) == 1
    assert helpful_workers(32.0, 8.0, 64, WORTH_ASKING, overlapped=True) == 4


def test_growth_is_at_once_and_release_after_a_few_steps_in_a_row() -> None:
    size = FleetSize(1, 4, overlapped=False)
    assert size.after_step(busy_s=8.0, rest_s=1.0) == 4
    for _ in range(STEPS_TO_RELEASE - 1):
        assert size.after_step(busy_s=0.01, rest_s=1.0) == 4
    assert size.after_step(busy_s=8.0, rest_s=1.0) == 4  # the row is broken
    wanted = [size.after_step(busy_s=0.01, rest_s=1.0) for _ in range(STEPS_TO_RELEASE + 1)]
    assert wanted == [4] * (STEPS_TO_RELEASE - 1) + [1, 1]


def test_the_fleet_stays_between_its_bounds() -> None:
    size = FleetSize(2, 3, overlapped=False)
    assert size.after_step(busy_s=1000.0, rest_s=0.1) == 3
    assert {size.after_step(busy_s=0.0, rest_s=1.0) for _ in range(9)} == {3, 2}
