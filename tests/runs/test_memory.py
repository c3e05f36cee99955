"""Memory arithmetic against numbers worked out by hand for Qwen2.5-VL-7B."""

import pytest

from ray_iqa.backends.deepspeed import config as deepspeed_config
from ray_iqa.config.learner import DeepSpeedLearnerConfig, LoraConfig, WeightTransferConfig
from ray_iqa.config.load import load_config
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.config.train import TrainConfig
from ray_iqa.policy import logprobs
from ray_iqa.runs.memory import (
    _BUCKET_ELEMENTS,
    _LOGIT_CHUNK_TOKENS,
    _WHOLE_BUCKET_ELEMENTS,
    ENGINE_ACTIVATIONS,
    PolicySize,
    engine_memory,
    host_memory,
    learner_memory,
    stored_snapshots,
)

POLICY = PolicyConfig(model="Qwen/Qwen2.5-VL-7B-Instruct")
SIZE = PolicySize(
    num_parameters=8_292_166_656,
    num_trained=8_292_166_656,
    num_pinned=15_689_840_640,
    num_layers=28,
    hidden_size=3584,
    num_kv_heads=4,
    head_size=128,
    vocabulary=152_064,
)


def test_what_is_copied_from_tiers_above_is_as_there() -> None:
    assert _LOGIT_CHUNK_TOKENS == logprobs._CHUNK_TOKENS
    assert _BUCKET_ELEMENTS == deepspeed_config._BUCKET_ELEMENTS
    assert _WHOLE_BUCKET_ELEMENTS == 500_000_000  # deepspeed.runtime.engine.MEMORY_OPT_ALLREDUCE_SIZE


def test_zero_3_shards_sixteen_bytes_per_parameter_and_the_reference() -> None:
    one = learner_memory(SIZE, POLICY, DeepSpeedLearnerConfig(num_ranks=1))
    eight = learner_memory(SIZE, POLICY, DeepSpeedLearnerConfig(num_ranks=8))
    assert (one.weights, one.reference) == (16_584_333_312, 16_584_333_312)
    assert one.gradients == 33_168_666_624
    assert one.optimizer == 99_505_999_872  # 12 bytes per parameter
    assert eight.weights + eight.reference + eight.gradients + eight.optimizer == 20 * 8_292_166_656 // 8
    assert eight.activations == one.activations  # of a micro-batch, whatever the number of ranks


@pytest.mark.parametrize(("stage", "shares"), [(0, (1, 1, 8)), (2, (1, 8, 8)), (3, (8, 8, 8))])
def test_each_stage_shards_its_part(stage: int, shares: tuple[int, int, int]) -> None:
    learner = DeepSpeedLearnerConfig.model_validate({"num_ranks": 8, "zero_stage": stage})
    memory = learner_memory(SIZE, POLICY, learner)
    whole = (16_584_333_312, 33_168_666_624, 99_505_999_872)
    expected = tuple(amount // share for amount, share in zip(whole, shares, strict=True))
    assert (memory.weights, memory.gradients, memory.optimizer) == expected


def test_float32_without_zero_has_no_master_copy() -> None:
    policy = POLICY.model_copy(update={"dtype": "float32"})
    memory = learner_memory(SIZE, policy, DeepSpeedLearnerConfig(zero_stage=0))
    assert memory.weights == 4 * 8_292_166_656
    assert memory.optimizer == 8 * 8_292_166_656
    assert memory.buckets == 4 * 500_000_000  # DeepSpeed copies so many gradients at a time to reduce them


def test_adapters_stand_on_one_frozen_base() -> None:
    size = PolicySize(**{name: getattr(SIZE, name) for name in SIZE.__slots__} | {"num_trained": 200_000_000})
    memory = learner_memory(size, POLICY, DeepSpeedLearnerConfig(zero_stage=2, lora=LoraConfig()))
    assert memory.reference == 0
    assert memory.optimizer + memory.gradients == 16 * 200_000_000


def test_offloading_moves_bytes_to_the_host() -> None:
    here = learner_memory(SIZE, POLICY, DeepSpeedLearnerConfig(num_ranks=8))
    offloaded = DeepSpeedLearnerConfig(num_ranks=8, offload_optimizer=True, offload_parameters=True)
    there = learner_memory(SIZE, POLICY, offloaded)
    assert (there.weights, there.reference, there.gradients, there.optimizer) == (0, 0, 0, 0)
    assert there.offloaded == here.weights + here.reference + here.gradients + here.optimizer


def test_checkpointed_layers_keep_one_value_per_token_and_hidden_unit() -> None:
    logits = 3 * 4 * 256 * 152_064
    tokens = DeepSpeedLearnerConfig(max_tokens_per_micro_batch=1000)
    kept = learner_memory(SIZE, POLICY, tokens).activations - logits
    assert kept == 1000 * 3584 * (2 * 28 + 34)
    everything = tokens.model_copy(update={"gradient_checkpointing": False})
    assert learner_memory(SIZE, POLICY, everything).activations - logits == 1000 * 3584 * 34 * 28


def test_the_kv_cache_of_an_engine() -> None:
    engine = engine_memory(SIZE, POLICY, VllmRolloutConfig())
    assert engine.kv_per_token == 57_344  # 28 layers x 4 heads x 128 x (keys and values) x 2 bytes
    gpu = 80 * 10**9
    free = int(0.85 * gpu) - 16_584_333_312 - ENGINE_ACTIVATIONS
    assert engine.kv_tokens(0.85, gpu) == free // 57_344
    assert engine.kv_tokens(engine.least_share(5000, gpu), gpu) == pytest.approx(5000, abs=1)
    assert engine.kv_tokens(0.85, 20 * 10**9) < 0


def test_tensor_parallel_engines_share_weights_and_kv_heads() -> None:
    two = engine_memory(SIZE, POLICY, VllmRolloutConfig(tensor_parallel_size=2))
    assert (two.weights, two.kv_per_token) == (8_292_166_656, 28_672)
    eight = engine_memory(SIZE, POLICY, VllmRolloutConfig(tensor_parallel_size=8))
    assert eight.kv_per_token == 14_336  # four heads on eight GPUs: each is held twice


def test_host_memory_of_the_recipe_for_one_gpu() -> None:
    size = PolicySize(**{name: getattr(SIZE, name) for name in SIZE.__slots__} | {"num_trained": 200_000_000})
    config = load_config(TrainConfig, "configs/train/single_gpu_lora.yaml")
    parts = host_memory(size, config)
    pinned = 2 * 15_689_840_640  # 29.2 GiB: each tensor lies in a power of two of bytes
    adapters = 2 * 200_000_000
    alone = {"offloaded": 0, "stored": 2 * adapters, "processes": 2 * 2 * 2**30, "copy": 2 * adapters, "asleep": pinned}
    assert parts == alone
    merged = load_config(TrainConfig, "configs/train/single_gpu_lora.yaml", ["learner.lora.merge_for_sampling=true"])
    base = 2 * 8_292_166_656
    assert host_memory(size, merged) == alone | {"stored": 2 * (base + adapters), "copy": pinned + 2 * adapters}
    broadcast = config.model_copy(update={"weights": WeightTransferConfig(type="ipc")})
    assert (stored_snapshots(size, broadcast), host_memory(size, broadcast)["copy"]) == (0, 0)


def test_on_a_cpu_everything_is_host_memory() -> None:
    config = load_config(TrainConfig, "configs/train/quickstart.yaml")
    parts = host_memory(SIZE, config)
    assert parts["engines"] == 2 * (4 * 8_292_166_656 + 2**28)
    assert parts["copy"] == 4 * 8_292_166_656
    assert parts["learner"] == learner_memory(SIZE, config.policy, config.learner).peak
    assert "asleep" not in parts
