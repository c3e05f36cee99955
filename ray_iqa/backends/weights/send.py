"""The learner's end of a GPU broadcast, one transaction per policy version.

Rank 0 runs `WeightSender`; the other ranks run `follow`, because gathering ZeRO shards is collective. The transports
are NCCL between GPUs and CUDA IPC where learner and sampler share a GPU, both through vLLM's weight transfer engines.
Neither has run on a GPU yet: the lifecycle is tested with a gloo transport on a CPU.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from functools import partial
from threading import Thread
from typing import Any, Protocol

import torch

from ray_iqa.errors import WeightTransferError
from ray_iqa.types import Canary, TensorSpec, WeightReceipt

Chunk = Sequence[tuple[str, torch.Tensor]]
"""Some parameters by name, whole and on the transport's device."""


class Receivers(Protocol):
    """All samplers at once."""

    @property
    def fleet(self) -> tuple[str, ...]:
        """Who they are."""
        ...

    def __call__(self, phase: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call the method ``phase`` of every sampler's `WeightInstaller`, the i-th with the i-th arguments.

        Returns when each of them has answered, with their answers; raises if one failed.
        """
        ...


class Transport(Protocol):
    """How a chunk travels. All ranks call `describe` and `settle`; the others are called on rank 0 only."""

    def rendezvous(self) -> list[dict[str, Any]]:
        """What each sampler needs to join; a new meeting point in every call."""
        ...

    def open(self) -> None:
        """Join as the sender; returns when all samplers have joined."""
        ...

    def describe(self, chunk: Chunk) -> dict[str, Any]:
        """What vLLM must know to receive ``chunk``."""
        ...

    def send(self, chunk: Chunk) -> None:
        """Send while the samplers receive."""
        ...

    def settle(self) -> None:
        """Return when the chunk's memory may be used again."""
        ...

    def close(self) -> None:
        """Leave the group, if there is one."""
        ...


def follow(transport: Transport, chunks: Iterable[Chunk]) -> None:
    """What every rank but 0 does while rank 0 sends: produce the same chunks."""
    for chunk in chunks:
        transport.describe(chunk)
        transport.settle()


class WeightSender:
    """Sends all parameters of one policy version from rank 0 to all samplers."""

    def __init__(self, transport: Transport, receivers: Receivers, deadline_s: float) -> None:
        """``deadline_s`` limits each phase: joining, starting, one chunk, finishing."""
        self._transport, self._receivers, self._deadline_s = transport, receivers, deadline_s
        self._joined = False

    def send(
        self, manifest: Sequence[TensorSpec], chunks: Iterable[Chunk], policy_version: int, canary: Canary | None
    ) -> list[WeightReceipt]:
        """Send once and return one receipt per sampler; to retry, call again with all chunks.

        All ``chunks`` are consumed even after a failure, because producing them is collective. A failure leaves the
        group, so a retry meets at a new point.

        Raises:
            WeightTransferError: a phase failed or missed its deadline; no sampler answers until a whole update.
        """
        failure = self._attempt(lambda: self._open(manifest))
        for chunk in chunks:
            deliver = partial(self._deliver, chunk, self._transport.describe(chunk))
            failure = failure or self._attempt(deliver)
            self._transport.settle()
        receipts: list[WeightReceipt] = []
        failure = failure or self._attempt(lambda: receipts.extend(self._finish(policy_version, canary)))
        if failure is not None:
            self.leave()
            raise WeightTransferError(
                f"policy version {policy_version} did not reach the samplers: {failure}"
            ) from failure
        return receipts

    def leave(self) -> None:
        """Give up the group; the next `send` forms a new one."""
        self._joined = False
        self._transport.close()

    def _open(self, manifest: Sequence[TensorSpec]) -> None:
        if not self._joined:
            init_infos = self._transport.rendezvous()
            self._together(lambda: self._receivers("join", [(info,) for info in init_infos]), self._transport.open)
            self._joined = True
        self._together(lambda: self._all("start", manifest))

    def _deliver(self, chunk: Chunk, update_info: dict[str, Any]) -> None:
        self._together(lambda: self._all("receive", update_info), lambda: self._transport.send(chunk))

    def _finish(self, policy_version: int, canary: Canary | None) -> list[WeightReceipt]:
        return self._together(lambda: self._all("finish", policy_version, canary))[0]

    def _all(self, phase: str, *arguments: Any) -> list[Any]:  # noqa: ANN401 - of the phase
        return self._receivers(phase, [arguments] * len(self._receivers.fleet))

    def _together(self, *calls: Callable[[], Any]) -> list[Any]:
        """Run calls that wait for each other; a failed one does not wait for the rest, which may hang for ever."""
        futures = [_in_thread(call) for call in calls]
        done, pending = wait(futures, timeout=self._deadline_s, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        if pending:
            raise TimeoutError(f"a phase took longer than weights.phase_deadline_s {self._deadline_s:.0f} s")
        return [future.result() for future in futures]

    def _attempt(self, phase: Callable[[], None]) -> Exception | None:
        try:
            phase()
        except Exception as error:  # noqa: BLE001 - raised by `send` after the last chunk
            return error
        return None


def _in_thread(call: Callable[[], Any]) -> "Future[Any]":
    """A daemon thread: one that hangs in a broken group must not keep the process alive."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised by whoever asks for the result
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
