"""Which worker gets which images, with engines whose time is simulated: nothing here waits."""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from actors.training.fleet import Worker
from actors.training.step_work import CALLS_AT_A_TIME, Part, StepWork
from ray_iqa.errors import ResourceError
from ray_iqa.types import LabelledImage, RolloutGroup

K = 2  # completions per image
Duration = Callable[[int], float]  # of an image's completions, by the image's number


def image(number: int) -> LabelledImage:
    return LabelledImage(
        image_id=str(number), image_path=f"{number}.png", dataset="d", mos=1.0, mos_std=None, higher_is_better=True
    )


def group(of: LabelledImage) -> RolloutGroup:
    return RolloutGroup(image=of, prompt_token_ids=np.zeros(1, np.int32), completions=(), policy_version=0)


def work_of(num_images: int, slots: int, preparers: dict[LabelledImage, int] | None = None) -> StepWork:
    return StepWork([image(number) for number in range(num_images)], slots, K, preparers or {})


def workers_of(count: int) -> list[Worker]:
    return [Worker(slot, handle=None) for slot in range(count)]


def numbers(part: Part) -> list[int]:
    return [int(each.image_id) for each in part.images]


@dataclass
class Engine:
    """Decodes ``slots`` completions at a time and takes its calls one after the other, as a worker does."""

    worker: Worker
    slots: int
    slowness: float
    duration: Duration
    mailbox: list[Part] = field(default_factory=list)
    unfinished: Counter[LabelledImage] = field(default_factory=Counter)
    queued: list[LabelledImage] = field(default_factory=list)  # one entry per completion
    decoding: list[tuple[float, int]] = field(default_factory=list)  # end and number of the image
    held: list[LabelledImage] = field(default_factory=list)
    begun: bool = False

    def advance(self, now: float, work: StepWork) -> bool:
        """Begin what can begin; whether a call came back."""
        if self.mailbox and not self.begun:
            self.begun = True
            for each in self.mailbox[0].images:
                self.held.append(each)
                self.unfinished[each] = K
                self.queued += [each] * K
        while self.queued and len(self.decoding) < self.slots:
            number = int(self.queued.pop(0).image_id)
            heapq.heappush(self.decoding, (now + self.slowness * self.duration(number), number))
        if not self.mailbox or len(self.queued) + len(self.decoding) > self.mailbox[0].max_unfinished:
            return False
        done = [each for each in self.held if not self.unfinished[each]]
        self.held = [each for each in self.held if self.unfinished[each]]
        work.finish(self.worker, [group(each) for each in done], 1.0)
        self.mailbox.pop(0)
        self.worker.calls.popleft()
        self.begun = False
        return True


def simulate(work: StepWork, slowness: Sequence[float], slots: int, duration: Duration) -> tuple[list[float], int]:
    """When each engine ended, and how often one had an empty slot while images waited."""
    workers = workers_of(len(slowness))
    engines = [Engine(worker, slots, slow, duration) for worker, slow in zip(workers, slowness, strict=True)]
    now, ends, idle = 0.0, [0.0] * len(engines), 0
    while not work.is_done():
        moved = 1
        while moved:
            for part in work.hand_out(workers):
                part.worker.calls.append((None, 0.0))
                engines[part.worker.slot].mailbox.append(part)
            assert all(len(worker.calls) <= CALLS_AT_A_TIME for worker in workers)
            moved = sum(engine.advance(now, work) for engine in engines)  # every one of them
        idle += sum(len(engine.decoding) < slots for engine in engines) if work.num_waiting else 0
        decoding = [engine for engine in engines if engine.decoding]
        if decoding:
            engine = min(decoding, key=lambda each: each.decoding[0][0])
            now, ended = heapq.heappop(engine.decoding)
            engine.unfinished[image(ended)] -= 1
            ends[engine.worker.slot] = now
    return ends, idle


def long_tailed(number: int) -> float:
    return 10.0 if number == 7 else 1.0


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_no_engine_has_an_empty_slot_while_images_wait(num_workers: int) -> None:
    work = work_of(60, slots=6)
    ends, idle = simulate(work, [5.0, *[1.0] * (num_workers - 1)], 6, long_tailed)
    assert idle == 0
    assert set(work.groups) == {image(number) for number in range(60)}
    assert max(ends) - min(ends) <= 2 * 5.0  # what the slow one decodes when the last is handed out, and that one


def test_a_slow_engine_gets_fewer() -> None:
    work = work_of(60, slots=6)
    engines = workers_of(2)
    first = {part.worker.slot: numbers(part) for part in reversed(work.hand_out(engines))}
    assert len(first[0]) == len(first[1]) == 4  # 3 decoded at a time, and one behind
    ends, idle = simulate(work_of(60, slots=6), [5.0, 1.0], 6, lambda _: 1.0)
    assert idle == 0
    assert max(ends) < 60 / 2 / 3 * 5.0  # half of the images each


def test_a_step_for_which_there_is_room_is_handed_out_at_once_and_evenly() -> None:
    work = work_of(5, slots=64)
    workers = workers_of(2)
    parts = work.hand_out(workers)
    assert [(part.worker.slot, numbers(part), part.max_unfinished) for part in parts] == [
        (0, [0, 1, 2], 0),
        (1, [3, 4], 0),
    ]
    for part in parts:
        part.worker.calls.append((None, 0.0))
    assert work.hand_out(workers) == []


def test_everybody_begins_with_what_it_prepared() -> None:
    preparers = {image(number): number // 4 for number in range(8)}
    parts = work_of(8, slots=4, preparers=preparers).hand_out(workers_of(2))
    assert [(part.worker.slot, numbers(part)) for part in parts] == [(0, [0, 1, 2]), (0, [3]), (1, [4, 5, 6]), (1, [7])]


def test_what_a_lost_worker_held_goes_to_the_others_in_the_same_step() -> None:
    work = work_of(4, slots=64)
    lost, other = workers_of(2)
    [_, kept] = work.hand_out([lost, other])
    other.calls.append((None, 0.0))
    work.finish(lost, [group(image(0))], 1.0)
    work.lose(lost)
    [behind] = work.hand_out([other])  # a call more, behind the one that it has
    assert numbers(behind) == [1]
    other.calls.clear()
    work.finish(other, [group(each) for each in (*kept.images, *behind.images)], 1.0)
    assert set(work.groups) == {image(number) for number in range(4)}
    assert work.is_done()


def test_an_image_that_ends_every_worker_is_named() -> None:
    work = work_of(1, slots=4)
    for _ in range(3):
        [worker] = workers_of(1)
        work.hand_out([worker])
        work.lose(worker)
    [worker] = workers_of(1)
    work.hand_out([worker])
    with pytest.raises(ResourceError, match=r"4 times in a row on the same 1 images, the first of them 0\.png"):
        work.lose(worker)


def test_an_image_that_comes_twice_is_sampled_once() -> None:
    work = StepWork([image(1), image(1)], 4, K, {})
    [part] = work.hand_out(workers_of(1))
    assert numbers(part) == [1]
