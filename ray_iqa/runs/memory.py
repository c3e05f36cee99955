"""How much memory a run takes, from the shape of its policy and its configuration; plain arithmetic, in bytes.

Letters: N parameters, T trained ones, R learner ranks, b bytes of a weight (2 for bfloat16, 4 for float32).

A learner rank holds (what ZeRO shards is divided by R):
    weights        b N, sharded from stage 3; nothing when parameters are offloaded
    reference      b N as well, when `kl_coef` is above 0 and no frozen base can stand in for it
    gradients      4 T (they are added up in float32), sharded from stage 2; nothing when the optimizer is offloaded
    optimizer      8 T for AdamW's moments and 4 T for the float32 master copy, sharded from stage 1; or offloaded
    buckets        for reductions, in float32: two of 100 million elements with ZeRO, one of 500 million without
    activations    tokens of a forward pass x hidden size x (b layers + 17 b) with gradient checkpointing, 17 b layers
                   without (34 bytes per token and hidden unit of one bfloat16 layer: Korthikanti et al. 2022,
                   arXiv 2205.05198), and three float32 chunks of logits
    context        what CUDA, NCCL and the allocator take for themselves

An engine takes `gpu_memory_utilization` of its GPU: b N / tensor_parallel_size for weights, a part for its own
activations, and the rest for the KV cache, 2 b x layers x KV heads x head size bytes per token.

Host memory holds, with GPUs:
    offloaded      of every learner rank, see above
    copy           what rank 0 packs into a snapshot; pinned, and torch pins each tensor in a power of two of bytes
    stored         Ray's object store: two snapshots, each of b N and of b T for adapters, or of adapters alone
    asleep         the weights of every engine that sleeps, pinned likewise
    processes      what torch and an engine take beside their tensors
On a CPU everything is host memory, and the copy is not rounded.

A disk holds checkpoints of 12 T bytes (float32 values and AdamW's moments): `keep_checkpoints`, the best, and the one
that is being written; and policies of b N: the last, the best, and the one that is being written.
"""

from dataclasses import dataclass

from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.config.train import TrainConfig

GIB = 2**30
CONTEXT = 2 * GIB
"""CUDA's and NCCL's own memory and what the allocator cannot use; an assumption."""
ENGINE_ACTIVATIONS = 3 * GIB
"""What vLLM sets aside when it profiles a batch with images; an assumption."""
PROCESS = 2 * GIB
"""Host memory of a process with torch and an engine or a learner, beside its tensors; an assumption."""
_ROLLOUT_TOKEN = 2  # bytes of a token of an answer in rollouts/, compressed, with its share of the other columns
_BUCKET_ELEMENTS = 100_000_000  # backends.deepspeed.config
_WHOLE_BUCKET_ELEMENTS = 500_000_000  # DeepSpeed's own without ZeRO, which copies gradients to reduce them
_LOGIT_CHUNK_TOKENS = 256  # policy.logprobs
_LAYER_ACTIVATIONS = 17  # values per token and hidden unit


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySize:
    """The shape of a policy as far as memory depends on it."""

    num_parameters: int  # N, vision tower included
    num_trained: int  # T, adapters or the part that is not frozen
    num_pinned: int  # N with the elements of each tensor rounded up to a power of two
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
    buckets = 2 * 4 * min(_BUCKET_ELEMENTS, size.num_trained)
    if stage == 0:
        buckets = 4 * min(_WHOLE_BUCKET_ELEMENTS, size.num_trained)
    offloaded = (optimizer + gradients if learner.offload_optimizer else 0) + (
        weights * (2 if has_reference else 1) if learner.offload_parameters else 0
    )
    return LearnerMemory(
        weights=0 if learner.offload_parameters else weights,
        reference=weights if has_reference and not learner.offload_parameters else 0,
        gradients=0 if learner.offload_optimizer else gradients,
        optimizer=0 if learner.offload_optimizer else optimizer,
        buckets=buckets,
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


def stored_snapshots(size: PolicySize, config: TrainConfig) -> int:
    """Bytes of Ray's object store: the newest weights beside those that they replace."""
    if config.weights.type != "object_store":
        return 0
    return 2 * bytes_per_weight(config.policy) * sum(_travelling(size, config))


def _travelling(size: PolicySize, config: TrainConfig) -> tuple[int, int]:
    """Elements of a snapshot: of the plain model, and of adapters."""
    lora = config.learner.lora
    base = 0 if config.weights.adapters_alone(lora) else size.num_parameters
    return base, 0 if lora is None else size.num_trained


def host_memory(size: PolicySize, config: TrainConfig) -> dict[str, int]:
    """Bytes of host memory by what they are for, over all nodes; see the module's first lines."""
    width, ranks, workers = bytes_per_weight(config.policy), config.learner.num_ranks, config.rollout.min_workers
    learner = learner_memory(size, config.policy, config.learner)
    parts = {"offloaded": ranks * learner.offloaded, "stored": stored_snapshots(size, config)}
    parts["processes"] = (ranks + workers) * PROCESS
    packs = config.weights.type == "object_store"
    base, adapters = _travelling(size, config)
    if config.cluster.device == "cpu":
        engine = engine_memory(size, config.policy, config.rollout).weights + int(config.rollout.kv_cache_gib * GIB)
        return parts | {
            "copy": width * (base + adapters) if packs else 0,
            "learner": ranks * learner.peak,
            "engines": workers * engine,
        }
    copy = width * ((size.num_pinned if base else 0) + 2 * adapters)
    asleep = workers * width * size.num_pinned if config.rollout.sleep_when_idle else 0
    return parts | {"copy": copy if packs else 0, "asleep": asleep}


def disk_space(size: PolicySize, config: TrainConfig) -> dict[str, int]:
    """Bytes of a run directory by what they are for; with a ``checkpoint_uri``, of a node's temporary folder."""
    checkpoint = 12 * size.num_trained
    policy = bytes_per_weight(config.policy) * size.num_parameters
    if config.schedule.checkpoint_uri is not None:
        return {"checkpoints": checkpoint, "policies": policy}
    schedule = config.schedule
    steps = min(schedule.num_steps, schedule.keep_rollouts or schedule.num_steps)
    answers = steps * config.data.images_per_step * config.rollout.num_completions
    return {
        "checkpoints": (schedule.keep_checkpoints + 2) * checkpoint,
        "policies": 3 * policy,
        "rollouts": answers * config.rollout.max_tokens * _ROLLOUT_TOKEN,
    }


def bytes_per_weight(policy: PolicyConfig) -> int:
    """Bytes of one weight in ``policy.dtype``."""
    return 2 if policy.dtype == "bfloat16" else 4


def _activations(size: PolicySize, width: int, learner: DeepSpeedLearnerConfig) -> int:
    per_layer = _LAYER_ACTIVATIONS * width
    of_layers = width * size.num_layers + per_layer if learner.gradient_checkpointing else per_layer * size.num_layers
    logits = 3 * 4 * _LOGIT_CHUNK_TOKENS * size.vocabulary
    return learner.max_tokens_per_micro_batch * size.hidden_size * of_layers + logits
