"""Failure handling of the pool, on real Ray actors whose engine is a stand-in that fails on demand."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
from stand_in_worker import StandInActor

from actors.training.fleet import Fleet
from actors.training.rollout_pool import RolloutPool
from ray_iqa.config.learner import WeightTransferConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.errors import DataError, ResourceError
from ray_iqa.types import LabelledImage, RolloutGroup, SamplingSpec, WeightSnapshot

pytestmark = pytest.mark.usefixtures("joined_ray")
SPEC = SamplingSpec(num_completions=2, temperature=1.0, top_k=0, top_p=1.0, max_tokens=4, seed=5)
IMAGES = [
    LabelledImage(
        image_id=str(index), image_path=f"{index}.png", dataset="d", mos=1.0, mos_std=None, higher_is_better=True
    )
    for index in range(10)
]


@pytest.fixture
def make_pool(tmp_path: Path) -> Callable[..., RolloutPool]:
    def make(num_workers: int = 1, sample_deadline_s: float = 4) -> RolloutPool:
        rollout = VllmRolloutConfig(
            min_workers=num_workers, max_workers=4, sample_deadline_s=sample_deadline_s, start_deadline_s=120
        )

        def launch(_slot: int) -> Any:  # noqa: ANN401 - a Ray handle
            return StandInActor.options(num_cpus=0).remote(tmp_path)

        weights = WeightTransferConfig(phase_deadline_s=4)
        return RolloutPool(Fleet(launch, rollout, weights, wait_s=300.0, needs=lambda: "nothing"))

    return make


def snapshot(version: int) -> Any:  # noqa: ANN401 - a Ray reference
    return ray.put(WeightSnapshot(policy_version=version, manifest=(), values=(), canary=None))


def texts(groups: list[RolloutGroup]) -> list[tuple[str, str, int]]:
    return [(group.image.image_id, group.completions[0].text, group.policy_version) for group in groups]


def test_the_result_does_not_depend_on_the_number_of_workers(make_pool: Callable[..., RolloutPool]) -> None:
    results = []
    for num_workers in (1, 2, 4):
        pool = make_pool(num_workers)
        pool.wait_ready()
        groups = pool.sample(IMAGES, SPEC)
        assert [group.image for group in groups] == IMAGES
        results.append(texts(groups))
        pool.close()
    assert results[0] == results[1] == results[2]


def test_the_first_parts_go_to_whom_prepared_them(make_pool: Callable[..., RolloutPool]) -> None:
    pool = make_pool(2)
    pool.wait_ready()
    few = IMAGES[:2]  # a part for each
    expected = texts(pool.sample(few, SPEC))
    pool.prepare(few)
    assert texts(pool.sample(few, SPEC)) == expected
    pool.close()


def test_an_image_that_cannot_be_prepared_is_nobodys_failure_yet(
    make_pool: Callable[..., RolloutPool], tmp_path: Path
) -> None:
    pool = make_pool()
    pool.wait_ready()
    (tmp_path / "prepare-data").touch()
    pool.prepare(IMAGES)
    assert [group.image for group in pool.sample(IMAGES, SPEC)] == IMAGES
    assert not (tmp_path / "prepare-data").exists()
    pool.close()


@pytest.mark.parametrize("failure", ["sample-die", "sample-stop"])
@pytest.mark.parametrize("num_workers", [1, 3])
def test_a_lost_worker_is_replaced_at_the_current_weights_within_the_step(
    make_pool: Callable[..., RolloutPool], tmp_path: Path, failure: str, num_workers: int
) -> None:
    pool = make_pool(num_workers)
    pool.install(snapshot(7))
    expected = texts(pool.sample(IMAGES, SPEC))
    (tmp_path / failure).touch()
    assert texts(pool.sample(IMAGES, SPEC)) == expected
    assert {version for _, _, version in expected} == {7}
    assert pool.metrics()["rollout/workers_replaced"] == 1
    pool.close()


def test_refused_weights_are_sent_once_more(make_pool: Callable[..., RolloutPool], tmp_path: Path) -> None:
    pool = make_pool(2)
    pool.wait_ready()
    (tmp_path / "install-refuse").touch()
    assert [receipt.policy_version for receipt in pool.install(snapshot(3))] == [3, 3]
    assert pool.metrics()["rollout/workers_replaced"] == 0
    pool.close()


@pytest.mark.parametrize("failures", [["install-refuse-1", "install-refuse-2"], ["install-die"], ["install-stop"]])
def test_a_worker_that_cannot_take_the_weights_is_replaced(
    make_pool: Callable[..., RolloutPool], tmp_path: Path, failures: list[str]
) -> None:
    pool = make_pool(1)
    for failure in failures:
        (tmp_path / failure).touch()
    assert [receipt.policy_version for receipt in pool.install(snapshot(4))] == [4]
    assert pool.metrics()["rollout/workers_replaced"] == 1
    assert texts(pool.sample(IMAGES, SPEC))[0][2] == 4
    pool.close()


def test_workers_that_keep_dying_end_the_run_with_a_sentence(
    make_pool: Callable[..., RolloutPool], tmp_path: Path
) -> None:
    pool = make_pool(1)
    for attempt in range(8):
        (tmp_path / f"sample-die-{attempt}").touch()
    with pytest.raises(ResourceError, match="failed 4 times in a row"):
        pool.sample(IMAGES, SPEC)
    pool.close()


def test_an_error_about_the_data_is_the_readers_and_not_retried(
    make_pool: Callable[..., RolloutPool], tmp_path: Path
) -> None:
    pool = make_pool(1)
    (tmp_path / "sample-data").touch()
    with pytest.raises(DataError, match="cannot be decoded"):
        pool.sample(IMAGES, SPEC)
    assert pool.metrics()["rollout/workers_replaced"] == 0
    pool.close()


def test_images_that_kill_every_worker_end_the_run_though_there_are_others(
    make_pool: Callable[..., RolloutPool], tmp_path: Path
) -> None:
    pool = make_pool(3)
    pool.wait_ready()
    for attempt in range(30):
        (tmp_path / f"sample-die-{attempt}").touch()
    with pytest.raises(ResourceError, match="failed 4 times in a row"):
        pool.sample(IMAGES, SPEC)
    pool.close()


def test_an_engine_that_cannot_start_is_named_at_once(make_pool: Callable[..., RolloutPool], tmp_path: Path) -> None:
    (tmp_path / "start-refuse").touch()
    pool = make_pool(1)
    with pytest.raises(ResourceError, match=r"rollout worker 0 could not start: .*a tensor is missing"):
        pool.wait_ready()
    assert pool.metrics()["rollout/workers_replaced"] == 0
    pool.close()


def test_a_worker_killed_while_it_starts_is_replaced_a_few_times(
    make_pool: Callable[..., RolloutPool], tmp_path: Path
) -> None:
    (tmp_path / "start-die").touch()
    pool = make_pool(1)
    pool.wait_ready()
    assert pool.metrics()["rollout/workers_replaced"] == 1
    pool.close()


def test_a_stopped_workers_images_go_to_the_others_and_its_stack_is_reported(
    make_pool: Callable[..., RolloutPool], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(2)
    expected = texts(pool.sample(IMAGES, SPEC))
    for attempt in range(4):  # nobody new can start before the step ends
        (tmp_path / f"start-slow-{attempt}").touch()
    (tmp_path / "sample-stop").touch()
    with caplog.at_level(logging.WARNING):
        assert texts(pool.sample(IMAGES, SPEC)) == expected
    assert pool.metrics()["rollout/workers_ready"] == 1
    assert "was stopped by a signal" in caplog.text
    assert "in _fail" in caplog.text  # the function in which it stopped
    stopped = caplog.text.partition("while ready, process ")[2].partition(" ")[0]
    deadline = time.monotonic() + 60
    while Path(f"/proc/{stopped}").exists():
        assert time.monotonic() < deadline, "a worker that was replaced does not stay"
        time.sleep(0.1)
    pool.close()


def test_more_workers_join_at_the_current_weights_and_leave_again(
    make_pool: Callable[..., RolloutPool], tmp_path: Path
) -> None:
    pool = make_pool(1)
    pool.install(snapshot(6))
    pool.resize(3)
    deadline = time.monotonic() + 300
    while pool.metrics()["rollout/workers_ready"] < 3 and time.monotonic() < deadline:
        groups = texts(pool.sample(IMAGES, SPEC))
        assert {version for _, _, version in groups} == {6}
        time.sleep(0.1)
    served = tmp_path / "served"
    served.mkdir()
    assert texts(pool.sample(IMAGES, SPEC)) == groups
    assert len({file.name.split("-")[1] for file in served.iterdir()}) > 1
    pool.resize(1)
    assert texts(pool.sample(IMAGES, SPEC)) == groups
    counts = pool.metrics()
    assert counts["rollout/workers_ready"] == 1
    assert (counts["rollout/workers_joined"], counts["rollout/workers_released"]) == (3, 2)
    pool.close()
