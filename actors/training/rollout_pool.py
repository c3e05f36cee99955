"""Many rollout workers behind one sampler."""

import logging
import threading
from collections.abc import Callable, Sequence

import ray
from ray.util.metrics import Gauge

from actors.cluster.processes import Handle
from actors.training.fleet import Fleet
from actors.training.step_work import StepWork
from ray_iqa.types import LabelledImage, RolloutGroup, SamplingSpec, WeightReceipt, WeightSnapshot

logger = logging.getLogger(__name__)


class RolloutPool:
    """`protocols.Sampler` over a fleet that changes while it works.

    No engine waits for another one while images are left, see `StepWork`. Those of a worker that is lost go to whoever
    is ready, in the same step. Sampling seeds depend on the image, so the result is the same whoever samples it.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._wanted = fleet.rollout.min_workers
        self._lock = threading.Lock()  # sampling ahead and publishing exclude each other
        self._busy_s: dict[int, float] = {}
        self._preparers: dict[LabelledImage, int] = {}  # slots of workers
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
            share = -(-len(images) // max(1, len(workers)))
            self._preparers = {}
            for place, worker in enumerate(workers):
                own = images[place * share : (place + 1) * share]
                self._preparers |= dict.fromkeys(own, worker.slot)
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
        return {
            "rollout/worker_seconds": max(self._busy_s.values(), default=0.0),
            "rollout/workers_ready": float(len(self._fleet.ready())),
            "rollout/workers_arriving": float(self._fleet.num_arriving()),
            "rollout/workers_joined": float(self._fleet.turnover["joined"]),
            "rollout/workers_released": float(self._fleet.turnover["released"]),
            "rollout/workers_replaced": float(self._fleet.turnover["replaced"]),
        }

    def install(self, snapshot: "ray.ObjectRef[WeightSnapshot]") -> list[WeightReceipt]:
        """Bring every worker to ``snapshot``: one retry of the whole transfer, then replacement."""
        with self.weights_fixed, self._lock:
            self._fleet.snapshot = lambda: snapshot
            self._fleet.renew_weights()
            while not self._fleet.is_renewed():
                self._fleet.wait()
            return [worker.receipt for worker in self._fleet.ready() if worker.receipt is not None]

    def broadcast(
        self,
        send: Callable[[Sequence[Handle], int], list[WeightReceipt]],
        for_late: "Callable[[], ray.ObjectRef[WeightSnapshot]]",
    ) -> list[WeightReceipt]:
        """Let ``send(workers, gpus_per_engine)`` bring all workers to new weights while nothing samples.

        Who joins before the next publish gets the same weights from ``for_late()``.
        """
        with self.weights_fixed, self._lock:
            while not self._fleet.is_renewed():
                self._fleet.wait()
            handles = [worker.handle for worker in self._fleet.ready()]
            receipts = send(handles, self._fleet.rollout.tensor_parallel_size)
            self._fleet.snapshot = for_late
            return receipts

    def close(self) -> None:
        """Stop all workers."""
        self._fleet.close()

    def _sample(self, images: Sequence[LabelledImage], spec: SamplingSpec) -> list[RolloutGroup]:
        self._fleet.forget_calls()  # of a step that an error ended
        rollout = self._fleet.rollout
        work = StepWork(images, rollout.max_num_seqs, spec.num_completions, self._preparers)
        while not work.is_done():
            for part in work.hand_out(self._fleet.ready()):
                call = part.worker.handle.sample.remote(part.images, spec, part.max_unfinished)
                self._fleet.send(part.worker, call, rollout.sample_deadline_s)
            self._queue.set(work.num_waiting)
            for outcome in self._fleet.wait():
                if outcome.answer is None:
                    work.lose(outcome.worker)
                else:
                    work.finish(outcome.worker, *outcome.answer)
        self._busy_s = work.busy_s
        for image, group in work.groups.items():
            if group.problem is not None:
                logger.warning("image %r of %s has no answer: %s", image.image_id, image.dataset, group.problem)
        return [work.groups[image] for image in images]
