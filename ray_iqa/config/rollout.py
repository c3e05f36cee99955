"""Section ``rollout``: how completions are drawn."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from ray_iqa.config.section import Section

if TYPE_CHECKING:  # `--help` reads this file and needs no numpy
    from ray_iqa.types import SamplingSpec


class VllmRolloutConfig(Section):
    """vLLM engines, one per rollout worker."""

    retired: ClassVar[dict[str, str]] = {"type": "rollout.type"}
    min_workers: PositiveInt = 1
    """Engines whose resources are reserved; a step's result does not depend on how many there are."""
    max_workers: PositiveInt | None = None
    """Most engines; those above min_workers come and go with what an autoscaler brings. None is min_workers."""
    num_completions: int = Field(default=6, ge=2)
    """K, completions per image: the group size."""
    temperature: PositiveFloat = 1.0
    top_k: NonNegativeInt = 0
    """0 samples from the whole vocabulary. The published trainer takes 50 and learns as if it were 0: a departure of
    its own from the policy that it samples."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    max_tokens: PositiveInt = 256
    """Longest completion in tokens."""
    max_model_len: PositiveInt = 4096
    """Prompt (image tokens included) and completion together, in tokens."""
    max_staleness: Literal[0, 1] = 0
    """0 samples on-policy; 1 samples the next step while this one is learned."""
    tensor_parallel_size: PositiveInt = 1
    """GPUs per engine."""
    gpu_memory_utilization: float = Field(default=0.85, gt=0.0, le=1.0)
    sleep_when_idle: bool = False
    """Free the engine's GPU memory between calls, for a learner that shares the GPU."""
    kv_cache_gib: PositiveFloat = 1.0
    """Size of the KV cache on a CPU; ignored on a GPU."""
    max_num_seqs: PositiveInt = 256
    """Completions decoded at the same time by one engine. A step that fits is handed out at once, evenly; the images
    of a larger one wait for whichever engine has room first."""
    enforce_eager: bool = False
    """Skip compilation; for tests and tiny policies."""
    num_threads: PositiveInt | None = None
    """CPU threads of one engine; None leaves it to torch."""
    start_deadline_s: PositiveFloat = 900.0
    """A worker that has not started by then is replaced."""
    sample_deadline_s: PositiveFloat = 900.0
    """A worker that has not answered a call by then is replaced."""

    @property
    def most_workers(self) -> int:
        """``max_workers`` with its default filled in."""
        return self.max_workers or self.min_workers

    def sampling_spec(self, seed: int, num_completions: int | None = None) -> "SamplingSpec":
        """The sampling parameters with a seed and, where answers are only evaluated, another number of them."""
        from ray_iqa.types import SamplingSpec

        return SamplingSpec(
            num_completions=num_completions or self.num_completions,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            seed=seed,
        )

    def _disagreements(self) -> Iterator[str]:
        if self.most_workers < self.min_workers:
            yield f"max_workers must be at least min_workers, got {self.max_workers} < {self.min_workers}"
