"""The sampler's end of a GPU broadcast: vLLM's own weight transfer with the checks that it lacks.

vLLM accepts an update that lacks a parameter, and after a failed chunk it dies at the next request; so what arrived is
counted here, and whoever owns the engine must not generate between `start` and a `finish` that returned. A failed
update is repaired by a whole new one.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ray_iqa.backends.weights.install import settle_reload
from ray_iqa.backends.weights.manifest import Shapes, check_coverage
from ray_iqa.errors import WeightTransferError


class TransferReceiver:
    """Drives the weight transfer engine inside one vLLM engine. Every method raises `WeightTransferError` only."""

    def __init__(self, llm: Any, expected: Shapes) -> None:  # noqa: ANN401 - vllm is untyped
        self._llm, self._expected = llm, expected
        self._received: set[str] | None = None  # None outside of an update

    def join(self, init_info: Mapping[str, Any]) -> None:
        """Meet the sender; called again, leave the old group first."""
        with _failure_named("join the sender"):
            self._abandon()
            self._llm.shutdown_weight_transfer_engine()
            self._llm.init_weight_transfer_engine({"init_info": dict(init_info)})

    def start(self) -> None:
        """Open an update; one that lost its sender is given up."""
        with _failure_named("start a weight update"):
            self._abandon()
            settle_reload(self._llm)
            self._llm.start_weight_update()
        self._received = set()

    def receive(self, update_info: Mapping[str, Any]) -> None:
        """Take one chunk; ``update_info["names"]`` says which parameters it holds."""
        if self._received is None:
            raise WeightTransferError("a chunk must follow the start of a weight update, and none after a failed one")
        received, self._received = self._received, None  # vLLM closes the update itself when a chunk fails
        with _failure_named(f"take the chunk that starts with {update_info['names'][0]}"):
            self._llm.update_weights({"update_info": dict(update_info)})
        self._received = received.union(update_info["names"])

    def finish(self) -> None:
        """Close the update and require that every parameter of the model arrived."""
        if self._received is None:
            raise WeightTransferError("no weight update is open: start one and send every chunk first")
        received, self._received = self._received, None
        with _failure_named("finish a weight update"):
            self._llm.finish_weight_update()
        check_coverage(received, self._expected)

    def _abandon(self) -> None:
        if self._received is not None:
            self._received = None
            self._llm.finish_weight_update()


@contextmanager
def _failure_named(task: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # transport, layer loader, worker process: vLLM raises whatever they raise
        raise WeightTransferError(f"vLLM could not {task}: {error}; send the whole update again") from error
