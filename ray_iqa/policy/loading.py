"""The policy as the learner trains it: precision, frozen parts, adapters, gradient checkpointing."""

from typing import Any

import peft
import torch
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForImageTextToText, PreTrainedModel

from ray_iqa.config.learner import DeepSpeedLearnerConfig, LoraConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import ConfigError
from ray_iqa.policy.group_attention import SHARED_PREFIX_FAMILIES
from ray_iqa.policy.logprobs import TokenLogprobs
from ray_iqa.policy.vision_kernels import speed_up_vision


def load_policy(policy: PolicyConfig, learner: DeepSpeedLearnerConfig) -> TokenLogprobs:
    """The policy in training mode, with whatever ``learner`` says is not trained frozen."""
    return trainable(load_transformer(policy), learner)


def trainable(model: PreTrainedModel, learner: DeepSpeedLearnerConfig) -> TokenLogprobs:
    """As `load_policy`, for a model at hand."""
    if learner.trained_part != "everything":
        train_vision = learner.trained_part == "vision_tower"
        model.requires_grad_(not train_vision)
        vision_tower(model).requires_grad_(train_vision)
    if learner.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if learner.lora is None:
        return TokenLogprobs(model.train())
    return TokenLogprobs(_with_adapters(model, learner.lora, learner.trained_part).train())


def load_reference(policy: PolicyConfig) -> TokenLogprobs:
    """A frozen copy of the initial policy."""
    return TokenLogprobs(load_transformer(policy).requires_grad_(False).eval())


def load_transformer(policy: PolicyConfig) -> Any:  # noqa: ANN401 - model classes differ by family
    """The transformers model of ``policy.model`` in ``policy.dtype``, on the CPU.

    Raises:
        ConfigError: there is no such model, or not one that reads images and writes text.
    """
    try:
        model = AutoModelForImageTextToText.from_pretrained(
            policy.model,
            revision=policy.revision,
            dtype=getattr(torch, policy.dtype),
            attn_implementation="sdpa",
        )
    except (OSError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"policy.model must be a folder or hub name of an image-text-to-text model, "
            f"got {policy.model!r}: {first_line}"
        ) from error
    speed_up_vision(model)
    return model


def vision_tower(model: PreTrainedModel) -> torch.nn.Module:
    """The image encoder with its projection into the language model.

    Raises:
        ConfigError: this family keeps it where transformers cannot find it.
    """
    tower: torch.nn.Module = model.get_encoder(modality="image")
    if tower is model:
        raise ConfigError(
            f"learner.trained_part must be everything for model type {model.config.model_type!r}: no vision tower found"
        )
    return tower


def why_prompts_run_alone(scorer: TokenLogprobs) -> str | None:
    """Why every prompt runs once per completion and not once per group; None where the family can share it."""
    if scorer.can_share_prompts:
        return None
    family, known = scorer.transformer.config.model_type, ", ".join(sorted(SHARED_PREFIX_FAMILIES))
    return f"every prompt runs once per completion: share_prefix knows {known}, got model type {family}"


def _with_adapters(model: PreTrainedModel, lora: LoraConfig, trained_part: str) -> peft.PeftModel:
    tower = vision_tower(model)
    prefix = next(name for name, module in model.named_modules() if module is tower)
    excluded = {"everything": None, "language_model": rf"{prefix}\..*", "vision_tower": rf"(?!{prefix}\.).*"}
    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        exclude_modules=excluded[trained_part],
    )
    # Engines keep their own float32 master copy; adapters of another type than the base would be cast back.
    adapted = peft.get_peft_model(model, config, autocast_adapter_dtype=False)
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer) and not isinstance(module.get_base_layer(), torch.nn.Linear):
            kind = type(module.get_base_layer()).__name__
            raise ConfigError(f"learner.lora.target_modules must name linear layers, got {name}, which is {kind}")
    return adapted
