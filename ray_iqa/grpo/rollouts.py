"""When a step is sampled: right before it is learned, or while the step before it is learned.

Both are `ray_iqa.protocols.RolloutSource`. What is sampled is a function of the step alone, so either can begin
at any step.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Protocol

from ray_iqa.protocols import Sampler
from ray_iqa.types import LabelledImage, RolloutGroup, SamplingSpec


class Batches(Protocol):
    """Knows the images of every step."""

    def for_step(self, step: int) -> list[LabelledImage]:
        """The images of ``step`` (counted from 1), the same on every call."""


class OnPolicyRollouts:
    """Samples a step when it is asked for, with the weights published last: staleness 0."""

    def __init__(self, sampler: Sampler, batches: Batches, spec_for_step: Callable[[int], SamplingSpec]) -> None:
        self._sampler, self._batches, self._spec_for_step = sampler, batches, spec_for_step

    def batch_for(self, step: int) -> list[RolloutGroup]:
        """Sample the groups of ``step`` now; the sampler prepares the next step while the caller goes on."""
        groups = self._sampler.sample(self._batches.for_step(step), self._spec_for_step(step))
        self._sampler.prepare(self._batches.for_step(step + 1))
        return groups


class PrefetchedRollouts:
    """Samples the next step in one background thread while the caller learns from this one: staleness 1.

    The weights are held fixed from before the caller goes on until the samples are there, so all groups of a step
    carry one policy version, the one before the update they overlap with.

    The step after a checkpoint is never sampled ahead: a run resumed from that checkpoint must sample it with the
    checkpoint's weights, and so must the uninterrupted run, or the two would differ. (A checkpoint at any other
    step, as a stop request writes it, resumes correctly but with that one step sampled fresh.)
    """

    def __init__(self, source: OnPolicyRollouts, num_steps: int, checkpoint_every: int, weights_fixed: Lock) -> None:
        """Prefetch from ``source``, up to ``num_steps``, never across a multiple of ``checkpoint_every``.

        Whoever changes the sampler's weights takes ``weights_fixed`` first.
        """
        self._source, self._weights_fixed = source, weights_fixed
        self._num_steps, self._checkpoint_every = num_steps, checkpoint_every
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
        self._ahead: tuple[int, Future[list[RolloutGroup]]] | None = None

    def batch_for(self, step: int) -> list[RolloutGroup]:
        """The groups of ``step``; on return sampling of the next step has begun.

        Whatever the background thread raised while sampling ``step`` is raised here; asking again samples anew.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            groups = self._source.batch_for(step)
        else:
            sampled_step, future = ahead
            assert sampled_step == step, f"steps must be taken in order, got {step} after {sampled_step - 1}"
            groups = future.result()
        if step < self._num_steps and step % self._checkpoint_every != 0:
            self._weights_fixed.acquire()  # before the caller can publish: these samples belong to the present weights
            future = self._thread.submit(self._source.batch_for, step + 1)
            future.add_done_callback(lambda _: self._weights_fixed.release())
            self._ahead = step + 1, future
        return groups

    def close(self) -> None:
        """Wait for running sampling and end the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
