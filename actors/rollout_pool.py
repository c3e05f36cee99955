"""Many rollout workers behind one sampler."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import ray
from ray.util.metrics import Gauge

from actors.fleet import MAX_FAILURES_IN_A_ROW, Fleet, Worker
from actors.rollout_worker import Handle
from ray_iqa.errors import ResourceError
from ray_iqa.types import LabelledImage, RolloutGroup, SamplingSpec, WeightReceipt, WeightSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Some of a step's images, sampled in one call."""

    start: int
    images: Sequence[LabelledImage]
    losses: int = 0  # workers lost over it


class RolloutPool:
    """`protocols.Sampler` over a fleet that changes while it works.

    The images of a worker that is lost go to whoever is ready next, in the same step. Sampling seeds depend on the
    image, so the result is the same whoever samples it.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._wanted = fleet.rollout.min_workers
        self._lock = threading.Lock()  # sampling ahead and publishing exclude each other
        self._busy_s: dict[int, float] = {}
        self._preparers: dict[int, int] = {}  # slot of the worker that prepared a part, by the part's start
        self._queue = Gauge("iqa_rollout_queue_images", "images of the step in hand that no worker has yet")
        self.weights_fixed = threading.Lock()
        """Held by whoever needs the weights to stay; publishing waits for it."""
        fleet.resize(self._wanted)

    def wait_ready(self) -> None:
        """Block until every reserved worker has started.

        Raises:
            ResourceError: an engine could not start.
        """
        with self._lock:
            while len(self._fleet.ready()) < self._wanted:
                self._fleet.wait()

    def sample(self, images: Sequence[LabelledImage], spec: SamplingSpec) -> list[RolloutGroup]:
        """See `protocols.Sampler.sample`."""
        with self._lock:
            self._fleet.resize(self._wanted)
            return self._sample(images, spec)

    def prepare(self, images: Sequence[LabelledImage]) -> None:
        """Let workers preprocess the next step's images while they would wait; nobody waits for that.

        A worker that gets other images after all, or could not read one, preprocesses them when it samples.
        """
        with self._lock:
            workers = self._fleet.ready()
            parts = self._parts(images) if workers else []
            self._preparers = {part.start: workers[place % len(workers)].slot for place, part in enumerate(parts)}
            for place, worker in enumerate(workers):
                own = [image for part in parts[place :: len(workers)] for image in part.images]
                worker.handle.prepare.remote(own)

    def resize(self, wanted: int) -> None:
        """Have so many workers from the next call on, or fewer while they are not there."""
        self._wanted = wanted

    @property
    def busy_s(self) -> float:
        """Seconds of work in the newest call, summed over workers."""
        return sum(self._busy_s.values())

    def metrics(self) -> dict[str, float]:
        """``rollout/worker_seconds``, of the slowest worker in the newest call, and ``rollout/workers_*``.

        ``workers_ready`` and ``workers_arriving`` are counts of the moment, the others since the run began.
        """
        turnover = self._fleet.turnover
        return {
            "rollout/worker_seconds": max(self._busy_s.values(), default=0.0),
            "rollout/workers_ready": float(len(self._fleet.ready())),
            "rollout/workers_arriving": float(self._fleet.num_arriving()),
            "rollout/workers_joined": float(turnover.joined),
            "rollout/workers_released": float(turnover.released),
            "rollout/workers_replaced": float(turnover.replaced),
        }

    def install(self, snapshot: "ray.ObjectRef[WeightSnapshot]") -> list[WeightReceipt]:
        """Bring every worker to ``snapshot``: one retry of the whole transfer, then replacement."""
        with self.weights_fixed, self._lock:
            self._fleet.snapshot = lambda: snapshot
            self._fleet.renew_weights()
            while not self._fleet.is_renewed():
                self._fleet.wait()
            return [worker.receipt for worker in self._fleet.ready() if worker.receipt is not None]

    def broadcast(self, send: Callable[[Sequence[Handle], int], list[WeightReceipt]]) -> list[WeightReceipt]:
        """Let ``send(workers, gpus_per_engine)`` bring all workers to new weights while nothing samples."""
        with self.weights_fixed, self._lock:
            while not self._fleet.is_renewed():
                self._fleet.wait()
            handles = [worker.handle for worker in self._fleet.ready()]
            return send(handles, self._fleet.rollout.tensor_parallel_size)

    def on_replacement(self, snapshot: "Callable[[], ray.ObjectRef[WeightSnapshot]]") -> None:
        """Where a worker that joins between two publishes gets the current weights from."""
        self._fleet.snapshot = snapshot

    def close(self) -> None:
        """Stop all workers."""
        self._fleet.close()

    def _sample(self, images: Sequence[LabelledImage], spec: SamplingSpec) -> list[RolloutGroup]:
        groups: list[RolloutGroup | None] = [None] * len(images)
        busy_s: dict[int, float] = {}
        waiting = deque(self._parts(images))
        at_work: dict[Worker, _Part] = {}
        while waiting or at_work:
            for worker in self._fleet.ready():
                if waiting and worker not in at_work:
                    at_work[worker] = part = self._part_for(worker, waiting)
                    waiting.remove(part)
                    call = worker.handle.sample.remote(part.images, spec)
                    self._fleet.send(worker, call, self._fleet.rollout.sample_deadline_s)
            self._queue.set(sum(len(part.images) for part in waiting))
            for outcome in self._fleet.wait():
                part = at_work.pop(outcome.worker)
                if outcome.answer is None:
                    waiting.appendleft(_after_loss(part))
                    continue
                sampled, seconds = outcome.answer
                groups[part.start : part.start + len(sampled)] = sampled
                busy_s[outcome.worker.slot] = busy_s.get(outcome.worker.slot, 0.0) + seconds
        self._busy_s = busy_s
        return [group for group in groups if group is not None]

    def _part_for(self, worker: Worker, waiting: Sequence[_Part]) -> _Part:
        """What this worker has prepared, or the first."""
        prepared = (part for part in waiting if self._preparers.get(part.start) == worker.slot)
        return next(prepared, waiting[0])

    def _parts(self, images: Sequence[LabelledImage]) -> list[_Part]:
        """One part for a single worker; otherwise two per worker, so that a fast one takes more."""
        workers = len(self._fleet.ready())
        num_parts = 1 if workers <= 1 else 2 * workers
        size = -(-len(images) // num_parts)
        return [_Part(start=start, images=images[start : start + size]) for start in range(0, len(images), size)]


def _after_loss(part: _Part) -> _Part:
    losses = part.losses + 1
    if losses > MAX_FAILURES_IN_A_ROW:
        raise ResourceError(
            f"rollout workers failed {losses} times in a row on the same {len(part.images)} images, "
            f"the first of them {part.images[0].image_path}"
        )
    return replace(part, losses=losses)
