"""DeepSpeed's configuration dictionary, generated from section ``learner``."""

from typing import Any

from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.config.policy import PolicyConfig

_BUCKET_ELEMENTS = 100_000_000


def deepspeed_config(policy: PolicyConfig, learner: DeepSpeedLearnerConfig) -> dict[str, Any]:
    """What `deepspeed.initialize` takes for the policy.

    DeepSpeed knows nothing of a step's micro-batches: it is told of one, and the learner marks the last one.
    """
    return {
        **reference_config(policy, learner),
        "gradient_clipping": learner.max_grad_norm,
        "optimizer": {
            "type": "AdamW",
            # torch's AdamW needs no operator compiled on the machine it runs on.
            "params": {
                "lr": learner.learning_rate,
                "betas": list(learner.betas),
                "weight_decay": learner.weight_decay,
                "torch_adam": True,
            },
        },
    }


def reference_config(policy: PolicyConfig, learner: DeepSpeedLearnerConfig) -> dict[str, Any]:
    """The same without an optimizer, for a frozen model sharded in the same way."""
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "bf16": {"enabled": policy.dtype == "bfloat16"},
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        "zero_optimization": _zero(policy, learner),
        "steps_per_print": 1_000_000_000,
    }


def _zero(policy: PolicyConfig, learner: DeepSpeedLearnerConfig) -> dict[str, Any]:
    # Without ZeRO, DeepSpeed would add up bfloat16 gradients in bfloat16; stage 1 does it in float32.
    stage = 1 if learner.zero_stage == 0 and policy.dtype == "bfloat16" else learner.zero_stage
    zero: dict[str, Any] = {
        "stage": stage,
        "overlap_comm": False,  # has produced NaN (deepspeed issue 5347)
        "contiguous_gradients": True,
        "reduce_bucket_size": _BUCKET_ELEMENTS,
        "allgather_bucket_size": _BUCKET_ELEMENTS,
    }
    if learner.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if stage == 3:
        zero["stage3_prefetch_bucket_size"] = _BUCKET_ELEMENTS
        zero["stage3_param_persistence_threshold"] = 10_000  # norms and biases stay whole
        if learner.offload_parameters:
            zero["offload_param"] = {"device": "cpu", "pin_memory": True}
    return zero
