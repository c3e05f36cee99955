"""The sampler's end of every weight update: one transaction, whatever brings the weights.

vLLM accepts an update that lacks a parameter, and after a failed chunk it dies at the next request; so what arrives is
counted here, and between the first step of an update and a canary that agrees no version answers. A failed update is
repaired by a whole new one.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ray_iqa.backends.compat.vllm_reload import repack_output_head, settle_reload
from ray_iqa.backends.vllm.adapters import load_adapters
from ray_iqa.backends.vllm.working_engine import WorkingEngine
from ray_iqa.backends.weights.canary import canary_bound, canary_picture
from ray_iqa.backends.weights.install import load_snapshot, reset_caches
from ray_iqa.backends.weights.manifest import check_coverage, check_manifest, expected_parameters
from ray_iqa.config.learner import WeightTransferConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import WeightTransferError
from ray_iqa.types import Canary, TensorSpec, WeightReceipt, WeightSnapshot

logger = logging.getLogger(__name__)
LogprobsOf = Callable[[Image.Image, NDArray[np.int32]], tuple[NDArray[np.int32], NDArray[np.float32]]]


class WeightInstaller:
    """Owns the version of one engine's weights; `install` takes a snapshot, the other four steps a broadcast.

    Every method raises `WeightTransferError` only. Before anything touched the engine (the manifest does not fit, or
    images are unfinished) the old weights still answer; after, nothing does until a whole update has come.
    """

    def __init__(
        self,
        engine: WorkingEngine,
        policy: PolicyConfig,
        weights: WeightTransferConfig,
        logprobs_of: LogprobsOf,
        *,
        adapters_alone: bool = False,
    ) -> None:
        """``logprobs_of`` is the sampler's own, which the canary asks; ``adapters_alone``: the base never changes."""
        self._engine, self._llm, self._logprobs_of = engine, engine.llm, logprobs_of
        self.expected = expected_parameters(policy)
        """Name and shape of every parameter of the model, which an update must carry unless adapters come alone."""
        self._adapters_alone = adapters_alone
        self._bound = canary_bound(policy.dtype, weights.canary_max_mean)
        self._version: int | None = 0
        self._received: set[str] | None = None  # None outside of a broadcast

    @property
    def policy_version(self) -> int:
        """Version of the weights that answer."""
        if self._version is None:
            raise WeightTransferError("the last weight update failed: install a whole one or replace this sampler")
        return self._version

    def install(self, snapshot: WeightSnapshot) -> WeightReceipt:
        """Take over a snapshot; on return its version answers."""
        self._begin(snapshot.manifest)
        with self._engine.awake():
            if self._adapters_alone:
                with _failure_named("take the adapters"):
                    load_adapters(self._engine, snapshot)
            else:
                load_snapshot(self._llm, snapshot)
            return self._accept(snapshot.policy_version, snapshot.canary)

    def join(self, init_info: Mapping[str, Any]) -> None:
        """Meet the learner's `WeightSender`; called again, leave the old group first."""
        with _failure_named("join the sender"):
            self._abandon()
            self._llm.shutdown_weight_transfer_engine()
            self._llm.init_weight_transfer_engine({"init_info": dict(init_info)})

    def start(self, manifest: Sequence[TensorSpec]) -> None:
        """Open a broadcast, and give up one that lost its sender."""
        self._begin(manifest)
        self._engine.wake_up()
        with _failure_named("start a weight update"):
            self._abandon()
            settle_reload(self._llm)
            self._llm.start_weight_update()
        self._received = set()

    def receive(self, update_info: Mapping[str, Any]) -> None:
        """Take one chunk of a broadcast; ``update_info["names"]`` says which parameters it holds."""
        received = self._leave("a chunk must follow the start of a weight update, and none after a failed one")
        with _failure_named(f"take the chunk that starts with {update_info['names'][0]}"):
            self._llm.update_weights({"update_info": dict(update_info)})
        self._received = received.union(update_info["names"])

    def finish(self, policy_version: int, canary: Canary | None) -> WeightReceipt:
        """Close a broadcast, of which every parameter must have arrived; on return ``policy_version`` answers."""
        with self._engine.awake():
            received = self._leave("no weight update is open: start one and send every chunk first")
            with _failure_named("finish a weight update"):
                self._llm.finish_weight_update()
            check_coverage(received, self.expected)
            return self._accept(policy_version, canary)

    def _begin(self, manifest: Sequence[TensorSpec]) -> None:
        if self._engine.num_unfinished:
            raise WeightTransferError(f"weights stay while {self._engine.num_unfinished} images are being sampled")
        check_manifest(manifest, self.expected, adapters_alone=self._adapters_alone)
        self._version = None

    def _leave(self, otherwise: str) -> set[str]:
        """What has arrived; vLLM closes an update itself when a chunk fails, so nothing is open meanwhile."""
        if self._received is None:
            raise WeightTransferError(otherwise)
        received, self._received = self._received, None
        return received

    def _abandon(self) -> None:
        if self._received is not None:
            self._received = None
            self._llm.finish_weight_update()

    def _accept(self, policy_version: int, canary: Canary | None) -> WeightReceipt:
        """The last step of any update: drop what is left of the old weights, then ask the canary."""
        if not self._adapters_alone:
            repack_output_head(self._llm)
        reset_caches(self._llm)
        gaps = np.full(1, np.nan) if canary is None else self._canary_gaps(canary)
        mean, largest = float(gaps.mean()), float(gaps.max())
        if canary is not None and not mean <= self._bound:  # NaN fails too
            raise WeightTransferError(
                f"canary: log-probabilities of sampler and learner may differ by {self._bound:.2g} in the mean "
                f"(weights.canary_max_mean), they differ by {mean:.2g}, at most by {largest:.2g}"
            )
        if mean > self._bound / 2:
            logger.warning("canary: sampler and learner differ by %.2g in the mean, near %.2g", mean, self._bound)
        self._version = policy_version
        return WeightReceipt(
            policy_version=policy_version,
            num_tensors=len(self.expected),
            canary_mean_abs=mean,
            canary_max_abs=largest,
        )

    def _canary_gaps(self, canary: Canary) -> NDArray[np.float32]:
        prompt_token_ids, logprobs = self._logprobs_of(canary_picture(), canary.token_ids)
        if not np.array_equal(prompt_token_ids, canary.prompt_token_ids):
            raise WeightTransferError(
                f"canary: sampler and learner must read the same prompt, "
                f"got {len(prompt_token_ids)} and {len(canary.prompt_token_ids)} tokens"
            )
        return np.abs(logprobs - canary.logprobs)


@contextmanager
def _failure_named(task: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # transport, layer loader, worker process: vLLM raises whatever they raise
        raise WeightTransferError(f"vLLM could not {task}: {error}; send the whole update again") from error
