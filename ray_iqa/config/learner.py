"""Sections ``learner`` and ``weights``: the optimizer step and how new weights travel."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from ray_iqa.config.section import Section

LossName = Literal["grpo", "dr_grpo", "dapo"]
_DEFAULTS_OF_LOSS = {"dapo": {"clip_high": 0.28, "kl_coef": 0.0, "max_redraws": 3}}
"""Where a published loss takes others than GRPO."""


_MOST_RANKS = 512


class LoraConfig(Section):
    """Low-rank adapters through peft; the frozen base doubles as the reference policy."""

    rank: PositiveInt = 64
    alpha: PositiveInt = 128
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    target_modules: str | list[str] = "all-linear"
    merge_for_sampling: bool = False
    """Engines add the adapters to the base's weights, as nccl and ipc always do. In bfloat16 that loses most of a small
    change (docs/training.md); false runs them beside the base."""

    def _disagreements(self) -> Iterator[str]:
        if self.rank > _MOST_RANKS and not self.merge_for_sampling:
            yield f"rank must be at most {_MOST_RANKS} in vLLM, or merge_for_sampling true, got {self.rank}"


class DeepSpeedLearnerConfig(Section):
    """A gang of DeepSpeed ranks that takes the GRPO step."""

    retired: ClassVar[dict[str, str]] = {"type": "learner.type"}
    num_ranks: PositiveInt = 1
    """Data-parallel ranks; a step's result does not depend on how many there are."""
    zero_stage: Literal[0, 2, 3] = 3
    offload_optimizer: bool = False
    """Keep optimizer states in host memory."""
    offload_parameters: bool = False
    """Keep parameters in host memory (ZeRO-3 only)."""
    gradient_checkpointing: bool = True
    learning_rate: PositiveFloat = 1e-6
    """Peak; AdamW."""
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: NonNegativeFloat = 0.0
    warmup_steps: NonNegativeInt = 0
    final_learning_rate_fraction: float = Field(default=0.0, ge=0.0, le=1.0)
    """Linear decay ends at this share of the peak at schedule.num_steps."""
    max_grad_norm: PositiveFloat = 1.0
    loss: LossName = "grpo"
    """grpo as VisualQuality-R1 published it. dr_grpo (arXiv 2503.20783) divides neither by the group's standard
    deviation nor by an answer's length. dapo (arXiv 2503.14476) takes the mean over all tokens, and its defaults are
    clip_high .28, kl_coef 0 and max_redraws 3. docs/training.md has the formulas."""
    dr_grpo_length: PositiveInt = 256
    """The constant that dr_grpo divides an answer's sum over tokens by, as its released code by the longest answer."""
    updates_per_batch: PositiveInt = 1
    """Optimizer updates per step, each on a mini-batch of whole groups; num_steps times this is the run's updates."""
    passes_per_batch: PositiveInt = 1
    """How often an answer is used: updates_per_batch / passes_per_batch mini-batches make one pass."""
    max_redraws: NonNegativeInt = 0
    """Dynamic sampling: groups whose answers all earned the same are sampled again, at most so often; those still
    without advantage then leave the update. 0 keeps them in it, where the KL acts on them."""
    clip_low: float = Field(default=0.2, gt=0.0, lt=1.0)
    """The ratio of new to old probability is clipped below 1 - clip_low ..."""
    clip_high: PositiveFloat = 0.2
    """... and above 1 + clip_high. In the first update on a batch, the only one as published, it is 1: neither acts."""
    kl_coef: NonNegativeFloat = 0.04
    """Weight of the k3 KL to the frozen reference policy; 0 needs no reference policy."""
    importance_cap: PositiveFloat = 2.0
    """Truncates the ratio of the learner's to the sampler's probability of a token, which weights its loss."""
    trained_part: Literal["everything", "language_model", "vision_tower"] = "everything"
    """The rest is frozen; the vision tower includes its projection into the language model."""
    lora: LoraConfig | None = None
    share_prefix: bool = True
    """Run each image and prompt once per group; families that cannot do it use the plain path and say so."""
    max_tokens_per_micro_batch: PositiveInt = 16_384
    """Upper bound of tokens (padding included) in one forward pass; a single group may exceed it."""
    num_threads: PositiveInt | None = None
    """CPU threads of one rank; None leaves it to torch."""
    profile: str | None = None
    """File for a trace of the third update on rank 0, which Perfetto opens; `ray-iqa train --profile` sets it."""
    start_deadline_s: PositiveFloat = 900.0
    update_deadline_s: PositiveFloat = 3600.0

    @model_validator(mode="before")
    @classmethod
    def _with_defaults_of_loss(cls, values: Any) -> Any:  # noqa: ANN401 - pydantic says what is wrong with it
        return _DEFAULTS_OF_LOSS.get(str(values.get("loss")), {}) | values if isinstance(values, dict) else values

    def too_long_warmup(self, num_steps: int) -> str | None:
        """Why a run of ``num_steps`` would never reach its learning rate; None where it does."""
        updates = num_steps * self.updates_per_batch
        if self.warmup_steps <= updates:
            return None
        return f"learner.warmup_steps must be at most the run's {updates} updates, got {self.warmup_steps}"

    def _disagreements(self) -> Iterator[str]:
        if self.updates_per_batch % self.passes_per_batch:
            yield (
                "passes_per_batch must divide updates_per_batch, "
                f"got {self.passes_per_batch} and {self.updates_per_batch}"
            )
        if self.offload_parameters and self.zero_stage != 3:
            yield f"offload_parameters needs zero_stage 3, got zero_stage {self.zero_stage}"
        if self.offload_optimizer and self.zero_stage == 0:
            yield "offload_optimizer needs zero_stage 2 or 3, got zero_stage 0"


class WeightTransferConfig(Section):
    """How the learner's weights reach the rollout workers."""

    retired: ClassVar[dict[str, str]] = {"canary_max_abs": "weights.canary_max_abs (see canary_max_mean)"}
    type: Literal["object_store", "nccl", "ipc"] = "object_store"
    """object_store works everywhere and sends the adapters alone of a LoRA policy; nccl broadcasts
    between GPUs and ipc shares GPU memory with a colocated engine, adapters merged."""
    chunk_mib: PositiveInt = 512
    """Largest piece gathered from ZeRO-3 shards, and sent, at a time."""
    canary_max_mean: PositiveFloat | None = None
    """Largest allowed mean |log-probability of the sampler - of the learner| on the canary, an answer that the policy
    gave; null: the square root of the rounding unit of ``policy.dtype``, .088 for bfloat16. Above half of it a line
    warns, above it the weights count as not taken over."""
    phase_deadline_s: PositiveFloat = 300.0
    """A phase of the transaction that takes longer fails it."""

    @property
    def engine_arguments(self) -> dict[str, Any]:  # Any: vLLM's arguments
        """One of vLLM's weight transfer engines; nothing where snapshots are installed."""
        return {} if self.type == "object_store" else {"weight_transfer_config": {"backend": self.type}}

    def adapters_alone(self, lora: LoraConfig | None) -> LoraConfig | None:
        """``lora`` where its adapters run beside the base in the engines, else None."""
        return None if lora is None or lora.merge_for_sampling or self.type != "object_store" else lora
