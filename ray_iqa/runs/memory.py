"""How much memory a run takes, from the shape of its policy and its configuration; plain arithmetic, in bytes.

Letters: N parameters, T trained ones, R learner ranks, b bytes of a weight (2 for bfloat16, 4 for float32).

A learner rank holds (what ZeRO shards is divided by R):
    weights        b N, sharded from stage 3; nothing when parameters are offloaded
    reference      b N as well, when `kl_coef` is above 0 and no frozen base can stand in for it
    gradients      4 T (they are added up in float32), sharded from stage 2; nothing when the optimizer is offloaded
    optimizer      8 T for AdamW's moments and 4 T for the float32 master copy, sharded from stage 1; or offloaded
    buckets        two of float32 for reductions, with ZeRO
    activations    tokens of a forward pass x hidden size x (b layers + 17 b) with gradient checkpointing, 17 b layers
                   without (34 bytes per token and hidden unit of one bfloat16 layer: Korthikanti et al. 2022,
                   arXiv 2205.05198), and three float32 chunks of logits
    context        what CUDA, NCCL and the allocator take for themselves

An engine takes `gpu_memory_utilization` of its GPU: b N / tensor_parallel_size for weights, a part for its own
activations, and the rest for the KV cache, 2 b x layers x KV heads x head size bytes per token.
"""

from dataclasses import dataclass

from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig

GIB = 2**30
CONTEXT = 2 * GIB
"""CUDA's and NCCL's own memory and what the allocator cannot use; an assumption."""
ENGINE_ACTIVATIONS = 3 * GIB
"""What vLLM sets aside when it profiles a batch with images; an assumption."""
_BUCKET_ELEMENTS = 100_000_000  # backends.deepspeed_config
_LOGIT_CHUNK_TOKENS = 256  # policy.logprobs
_LAYER_ACTIVATIONS = 17  # values per token and hidden unit


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySize:
    """The shape of a policy as far as memory depends on it."""

    num_parameters: int  # N, vision tower included
    num_trained: int  # T, adapters or the part that is not frozen
    num_layers: int  # of the language model
    hidden_size: int
    num_kv_heads: int
    head_size: int
    vocabulary: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerMemory:
    """One learner rank, in bytes of its device; ``offloaded`` is in host memory."""

    weights: int
    reference: int
    gradients: int
    optimizer: int
    buckets: int
    activations: int
    offloaded: int

    @property
    def resident(self) -> int:
        """What stays between two updates."""
        return self.weights + self.reference + self.optimizer

    @property
    def peak(self) -> int:
        """The most during an update, without the context."""
        return self.resident + self.gradients + self.buckets + self.activations


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMemory:
    """One of an engine's GPUs, in bytes."""

    weights: int
    kv_per_token: int

    def kv_tokens(self, share: float, gpu: int) -> int:
        """Tokens that the KV cache of an engine holds on GPUs of ``gpu`` bytes; negative when not even weights fit."""
        return int(share * gpu - self.weights - ENGINE_ACTIVATIONS) // self.kv_per_token

    def least_share(self, tokens: int, gpu: int) -> float:
        """The `gpu_memory_utilization` that holds ``tokens`` in the KV cache."""
        return (self.weights + ENGINE_ACTIVATIONS + tokens * self.kv_per_token) / gpu


def learner_memory(size: PolicySize, policy: PolicyConfig, learner: DeepSpeedLearnerConfig) -> LearnerMemory:
    """Memory of one rank; see the module's first lines."""
    width = bytes_per_weight(policy)
    # Without ZeRO, bfloat16 runs as stage 1; see backends.deepspeed_config.
    stage = 1 if learner.zero_stage == 0 and width == 2 else learner.zero_stage

    def sharded(amount: int, from_stage: int) -> int:
        return amount // learner.num_ranks if stage >= from_stage else amount

    weights = sharded(width * size.num_parameters, 3)
    has_reference = learner.kl_coef > 0 and learner.lora is None
    master = 0 if stage == 0 else 4
    optimizer = sharded((8 + master) * size.num_trained, 1)
    gradients = sharded(4 * size.num_trained, 2)
    offloaded = (optimizer + gradients if learner.offload_optimizer else 0) + (
        weights * (2 if has_reference else 1) if learner.offload_parameters else 0
    )
    return LearnerMemory(
        weights=0 if learner.offload_parameters else weights,
        reference=weights if has_reference and not learner.offload_parameters else 0,
        gradients=0 if learner.offload_optimizer else gradients,
        optimizer=0 if learner.offload_optimizer else optimizer,
        buckets=2 * 4 * min(_BUCKET_ELEMENTS, size.num_trained) if stage else 0,
        activations=_activations(size, width, learner),
        offloaded=offloaded,
    )


def engine_memory(size: PolicySize, policy: PolicyConfig, rollout: VllmRolloutConfig) -> EngineMemory:
    """Memory of one engine on each of its GPUs; KV heads are copied where there are fewer than GPUs."""
    width, gpus = bytes_per_weight(policy), rollout.tensor_parallel_size
    kv_heads = -(-size.num_kv_heads // gpus)
    return EngineMemory(
        weights=width * size.num_parameters // gpus,
        kv_per_token=2 * width * size.num_layers * kv_heads * size.head_size,
    )


def bytes_per_weight(policy: PolicyConfig) -> int:
    """Of ``policy.dtype``."""
    return 2 if policy.dtype == "bfloat16" else 4


def _activations(size: PolicySize, width: int, learner: DeepSpeedLearnerConfig) -> int:
    per_layer = _LAYER_ACTIVATIONS * width
    of_layers = width * size.num_layers + per_layer if learner.gradient_checkpointing else per_layer * size.num_layers
    logits = 3 * 4 * _LOGIT_CHUNK_TOKENS * size.vocabulary
    return learner.max_tokens_per_micro_batch * size.hidden_size * of_layers + logits
