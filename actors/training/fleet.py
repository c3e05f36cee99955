"""The rollout workers of a run: each is waiting for resources, starting, taking over weights, or ready.

Slots below ``rollout.min_workers`` have reserved resources and are always filled: who is lost there is replaced at
once. Slots above hold workers without a reservation; waiting ones are what an autoscaler sees. Nobody waits for a
worker on its way while another one is ready.
"""

import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import ray
from ray.exceptions import GetTimeoutError, ObjectLostError, RayError, RayTaskError, RuntimeEnvSetupError

from actors.cluster.processes import Handle, ProcessPlace, end_hung_processes, last_line
from ray_iqa.config.learner import WeightTransferConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.errors import LearnerLostError, RayIqaError, ResourceError, WeightTransferError
from ray_iqa.types import WeightReceipt, WeightSnapshot

logger = logging.getLogger(__name__)
MAX_FAILURES_IN_A_ROW = 3
SAY_WAITING_S = 10.0
SETTLE_S = 1.0  # until Ray knows of a node that went away
FETCH_S = 60.0  # to bring an answer that is there to the driver


@dataclass(slots=True, eq=False)
class Worker:
    """One rollout worker and the calls it has, in the order in which it works on them."""

    slot: int
    handle: Handle
    stage: Literal["waiting", "starting", "joining", "ready"] = "waiting"
    calls: "deque[tuple[ray.ObjectRef[Any], float]]" = field(default_factory=deque)  # each with its seconds
    deadline: float = 0.0  # of the first call
    place: ProcessPlace | None = None
    refusals: int = 0  # of weights, in a row
    receipt: WeightReceipt | None = None


@dataclass(slots=True)
class Outcome:
    """What became of a ready worker's call: its answer, or None when the worker was lost."""

    worker: Worker
    answer: Any  # what the called method returns


@dataclass(slots=True)
class Fleet:
    """Starts, watches and replaces workers; everything happens inside `wait` and `resize`.

    Args:
        launch: Creates the actor of a slot.
        rollout: Deadlines, and how many slots are reserved.
        weights: Deadline of an install.
        wait_s: How long a run without any worker waits for resources.
        needs: Says needed, registered and free resources.
    """

    launch: Callable[[int], Handle]
    rollout: VllmRolloutConfig
    weights: WeightTransferConfig
    wait_s: float
    needs: Callable[[], str]
    turnover: "Counter[Literal['joined', 'released', 'replaced']]" = field(default_factory=Counter)  # since the start
    snapshot: "Callable[[], ray.ObjectRef[WeightSnapshot]] | None" = None  # None: the initial policy is current
    _workers: dict[int, Worker] = field(default_factory=dict)
    _failures: dict[int, int] = field(default_factory=dict)  # per slot, in a row, without a ready worker between
    _proven: bool = False  # an engine has started, so another can

    def resize(self, wanted: int) -> None:
        """Fill the slots below ``wanted`` and release the workers of the others; none of them may be sampling."""
        for slot in range(wanted):
            if slot not in self._workers and self._failures.get(slot, 0) <= MAX_FAILURES_IN_A_ROW:
                self._fill(slot)
        for worker in [worker for slot, worker in self._workers.items() if slot >= wanted]:
            self._remove(worker)
            self.turnover["released"] += 1
            logger.warning("rollout worker %d is released: the step is hardly shorter with it", worker.slot)

    def ready(self) -> list[Worker]:
        """Workers that hold the current weights, in the order of their slots."""
        return [worker for _, worker in sorted(self._workers.items()) if worker.stage == "ready"]

    def num_arriving(self) -> int:
        """Workers that are not ready yet."""
        return len(self._workers) - len(self.ready())

    def send(self, worker: Worker, call: "ray.ObjectRef[Any]", deadline_s: float) -> None:
        """Note that ``worker`` has ``call``, which it begins when it has answered the calls before."""
        worker.calls.append((call, deadline_s))
        if len(worker.calls) == 1:
            worker.deadline = time.monotonic() + deadline_s

    def forget_calls(self) -> None:
        """Nobody wants to know any more what ready workers answer."""
        for worker in self.ready():
            worker.calls.clear()

    def renew_weights(self) -> None:
        """Bring everyone who holds weights to the current snapshot; they are ready again when they hold it."""
        for worker in self._workers.values():
            if worker.stage in ("joining", "ready"):
                self._join(worker)

    def is_renewed(self) -> bool:
        """Whether nobody takes over weights any more, and somebody holds them."""
        return bool(self.ready()) and all(worker.stage != "joining" for worker in self._workers.values())

    def wait(self) -> list[Outcome]:
        """Wait until a call has ended or missed its deadline; arriving workers move on, lost ones are replaced.

        Raises:
            ResourceError: no worker can start, or one was replaced too often.
            LearnerLostError: the current weights are gone.
        """
        busy = {worker.calls[0][0]: worker for worker in self._workers.values() if worker.calls}
        assert busy, "somebody must be busy: reserved slots are always filled"
        left_s = min(worker.deadline for worker in busy.values()) - time.monotonic()
        ray.wait(list(busy), timeout=min(max(0.0, left_s), SAY_WAITING_S))
        # All of them: who has answered is not late, though the driver may have been busy elsewhere since.
        ended, _ = ray.wait(list(busy), num_returns=len(busy), timeout=0, fetch_local=False)
        if not ended and not self.ready() and any(worker.stage == "waiting" for worker in busy.values()):
            logger.warning("rollout workers wait for resources: %s", self.needs())
        late = [call for call, worker in busy.items() if worker.deadline <= time.monotonic() and call not in ended]
        outcomes = [self._settle(busy[call], FETCH_S if call in ended else 0.001) for call in (*ended, *late)]
        return [outcome for outcome in outcomes if outcome is not None]

    def close(self) -> None:
        """Stop all workers."""
        for worker in list(self._workers.values()):
            self._remove(worker)

    def _settle(self, worker: Worker, timeout_s: float) -> Outcome | None:
        call, deadline_s = worker.calls.popleft()
        if worker.calls:
            worker.deadline = time.monotonic() + worker.calls[0][1]
        was_ready = worker.stage == "ready"
        try:
            answer = ray.get(call, timeout=timeout_s)
        except GetTimeoutError as error:
            if worker.stage == "waiting":
                worker.calls.append((call, deadline_s))
                self._wait_on(worker)
            else:
                self._lose(worker, error)
        except RayError as error:
            self._judge(worker, error)
        else:
            if was_ready:
                return Outcome(worker, answer)
            self._advance(worker, answer)
        return Outcome(worker, None) if was_ready else None

    def _advance(self, worker: Worker, answer: Any) -> None:  # noqa: ANN401 - what the stage's call returns
        if worker.stage == "waiting":
            worker.place, worker.stage = answer, "starting"
            self.send(worker, worker.handle.start.remote(), self.rollout.start_deadline_s)
        elif worker.stage == "starting":
            self._proven = True
            self.turnover["joined"] += 1
            logger.info("rollout worker %d has joined", worker.slot)
            self._join(worker)
        else:
            self._be_ready(worker, answer)

    def _join(self, worker: Worker) -> None:
        if self.snapshot is None:
            initial = WeightReceipt(policy_version=0, num_tensors=0, canary_mean_abs=math.nan, canary_max_abs=math.nan)
            self._be_ready(worker, initial)
            return
        worker.stage = "joining"
        worker.calls.clear()
        install = worker.handle.install.remote(self.snapshot())
        self.send(worker, install, self.weights.phase_deadline_s)

    def _be_ready(self, worker: Worker, receipt: WeightReceipt) -> None:
        worker.stage, worker.refusals, worker.receipt = "ready", 0, receipt
        self._failures[worker.slot] = 0

    def _judge(self, worker: Worker, error: RayError) -> None:
        """A call has failed: the weights are gone, they were refused, the worker is lost, or the user must act."""
        if worker.stage == "waiting":
            self._wait_anew(worker, error)
            return
        if worker.stage == "joining" and isinstance(error, ObjectLostError):
            raise LearnerLostError(f"the current weights were lost with their node: {last_line(error)}") from error
        if worker.stage == "joining" and isinstance(error, WeightTransferError) and worker.refusals == 0:
            logger.warning(
                "rollout worker %d refused the weights, sending them once more: %s", worker.slot, last_line(error)
            )
            worker.refusals = 1
            self._join(worker)
            return
        if worker.stage == "starting" and not self._proven and isinstance(error, RayTaskError):
            raise ResourceError(f"rollout worker {worker.slot} could not start: {last_line(error)}") from error
        cause = error.cause if isinstance(error, RayTaskError) else None
        if isinstance(cause, RayIqaError) and not isinstance(cause, WeightTransferError):
            raise cause from error
        self._lose(worker, error)

    def _lose(self, worker: Worker, error: RayError) -> None:
        self.turnover["replaced"] += 1
        failures = self._failures[worker.slot] = self._failures.get(worker.slot, 0) + 1
        if isinstance(error, GetTimeoutError):
            assert worker.place is not None, "a process that has not answered yet is waiting, not lost"
            [report] = end_hung_processes([worker.place])
            reason = f"no answer in time while {worker.stage}, {report}"
        else:
            reason = last_line(error)
        self._remove(worker)
        if worker.slot >= self.rollout.min_workers:
            logger.warning("rollout worker %d is lost: %s", worker.slot, reason)
            return
        if failures > MAX_FAILURES_IN_A_ROW:
            raise ResourceError(
                f"rollout worker {worker.slot} failed {failures} times in a row, the last time because: {reason}"
            ) from error
        logger.warning("rollout worker %d is replaced: %s", worker.slot, reason)
        self._fill(worker.slot)

    def _wait_anew(self, worker: Worker, error: RayError) -> None:
        """The place was lost before anything of ours ran there; so no failure of the worker, and no longer a wait."""
        if isinstance(error, RuntimeEnvSetupError):
            raise ResourceError(f"rollout worker {worker.slot} could not start: {last_line(error)}") from error
        logger.warning("rollout worker %d waits for another place: %s", worker.slot, last_line(error))
        self._remove(worker)
        time.sleep(SETTLE_S)
        if worker.slot < self.rollout.min_workers:
            self._fill(worker.slot)
            self._workers[worker.slot].deadline = worker.deadline

    def _wait_on(self, worker: Worker) -> None:
        if not any(other.stage != "waiting" for other in self._workers.values()):
            raise ResourceError(
                f"no rollout worker got its resources within cluster.wait_s = {self.wait_s:.0f} s: {self.needs()}"
            )
        worker.deadline = time.monotonic() + self.wait_s

    def _fill(self, slot: int) -> None:
        worker = self._workers[slot] = Worker(slot, self.launch(slot))
        self.send(worker, worker.handle.enter.remote(), self.wait_s)

    def _remove(self, worker: Worker) -> None:
        ray.kill(worker.handle)
        del self._workers[worker.slot]
