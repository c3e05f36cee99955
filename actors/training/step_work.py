"""Which images of a step go to which rollout worker, and when."""

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.training.fleet import MAX_FAILURES_IN_A_ROW, Worker
from ray_iqa.errors import ResourceError
from ray_iqa.types import LabelledImage, RolloutGroup

CALLS_AT_A_TIME = 2
"""The second lies in the worker's mailbox, so that its engine does not wait for the driver."""
_NOBODY = -1  # in the place of a slot
_SHARE_OF_ROOM = 8  # images that follow come in parts of so small a share; each part is a call that the driver pays for


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one call hands to a worker."""

    worker: Worker
    images: Sequence[LabelledImage]
    max_unfinished: int  # the call comes back when at most so many completions are unfinished


class StepWork:
    """The images of one step: each waits, is held by a worker, or is sampled.

    An image waits only while no engine has room for it. So a step that fits into the engines is handed out at once,
    evenly; of a larger one every engine holds what it decodes at the same time and a little more, and asks for the
    next images when the first of the little more is being decoded.
    """

    def __init__(
        self, images: Sequence[LabelledImage], slots: int, num_completions: int, preparers: Mapping[LabelledImage, int]
    ) -> None:
        """``slots`` completions are decoded at a time by one engine; ``preparers`` are slots of workers, by image."""
        self.groups: dict[LabelledImage, RolloutGroup] = {}
        self.busy_s: dict[int, float] = {}  # by slot of the worker
        self._slots = slots
        self._room = slots // num_completions + 1  # images; the last waits inside the engine
        self._preparers = preparers
        self._waiting: defaultdict[int, deque[LabelledImage]] = defaultdict(deque)  # by slot of the preparer
        self._held: defaultdict[Worker, dict[LabelledImage, None]] = defaultdict(dict)
        self._returning: set[Worker] = set()  # whose last call comes back before all is done
        self._losses: Counter[LabelledImage] = Counter()  # of workers, over one image
        for image in dict.fromkeys(images):
            self._queue_of(image).append(image)

    @property
    def num_waiting(self) -> int:
        """Images that no worker has."""
        return sum(map(len, self._waiting.values()))

    def is_done(self) -> bool:
        """Whether every image is sampled."""
        return not self.num_waiting and not any(self._held.values())

    def hand_out(self, workers: Sequence[Worker]) -> list[Part]:
        """What to send to ``workers`` now, in this order."""
        given: dict[Worker, list[list[LabelledImage]]] = {worker: [] for worker in workers}
        empty = [worker for worker in workers if not self._held[worker]]
        share = -(-self.num_waiting // max(1, len(empty)))
        for worker in empty:
            if self.num_waiting:
                given[worker].append(self._take(worker, min(share, self._room)))
        for worker in workers:
            if self.num_waiting and len(worker.calls) + len(given[worker]) < CALLS_AT_A_TIME:
                given[worker].append(self._take(worker, max(1, self._room // _SHARE_OF_ROOM)))
        return [part for worker, parts in given.items() for part in self._calls(worker, parts)]

    def finish(self, worker: Worker, groups: Sequence[RolloutGroup], seconds: float) -> None:
        """``worker`` has sampled these images."""
        for group in groups:
            self.groups[group.image] = group
            self._held[worker].pop(group.image, None)
        self.busy_s[worker.slot] = self.busy_s.get(worker.slot, 0.0) + seconds

    def lose(self, worker: Worker) -> None:
        """``worker`` is lost; what it has not returned waits again.

        Raises:
            ResourceError: too many workers were lost over an image.
        """
        held = list(self._held.pop(worker))
        self._losses.update(held)
        if held and (losses := max(self._losses[image] for image in held)) > MAX_FAILURES_IN_A_ROW:
            worst = [image for image in held if self._losses[image] == losses]
            raise ResourceError(
                f"rollout workers failed {losses} times in a row on the same {len(worst)} images, "
                f"the first of them {worst[0].image_path}"
            )
        for image in reversed(held):
            self._queue_of(image).appendleft(image)

    def _calls(self, worker: Worker, parts: list[list[LabelledImage]]) -> list[Part]:
        """The parts as calls; the last comes back with everything as soon as no image waits."""
        is_last = not self.num_waiting
        if is_last and not parts and worker in self._returning and len(worker.calls) < CALLS_AT_A_TIME:
            parts = [[]]
        if not parts:
            return []
        if is_last:
            self._returning.discard(worker)
        else:
            self._returning.add(worker)
        limits = [self._slots] * (len(parts) - 1) + [0 if is_last else self._slots]
        return [
            Part(worker=worker, images=images, max_unfinished=limit)
            for images, limit in zip(parts, limits, strict=True)
        ]

    def _take(self, worker: Worker, count: int) -> list[LabelledImage]:
        """What the worker has prepared, then from the end of the longest queue: its preparer comes there last."""
        taken: list[LabelledImage] = []
        while len(taken) < count and self.num_waiting:
            own = self._waiting.get(worker.slot) or self._waiting[_NOBODY]
            taken.append(own.popleft() if own else max(self._waiting.values(), key=len).pop())
        self._held[worker].update(dict.fromkeys(taken))
        return taken

    def _queue_of(self, image: LabelledImage) -> deque[LabelledImage]:
        return self._waiting[self._preparers.get(image, _NOBODY)]
