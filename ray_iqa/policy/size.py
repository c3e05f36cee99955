"""The shape of a policy without its weights: transformers builds it on torch's meta device from config.json alone."""

import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import ConfigError
from ray_iqa.policy.loading import trainable
from ray_iqa.runs.memory import PolicySize


def policy_size(policy: PolicyConfig, learner: DeepSpeedLearnerConfig) -> PolicySize:
    """Parameters, trained parameters and the language model's dimensions; a hub model costs a small download.

    Raises:
        ConfigError: neither this machine nor the hub has the model's configuration.
    """
    try:
        config = AutoConfig.from_pretrained(policy.model, revision=policy.revision)
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(config)  # type: ignore[no-untyped-call]
            sizes = [parameter.numel() for parameter in model.parameters()]  # before adapters
            scorer = trainable(model, learner)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the size of {policy.model!r} is not known here: {str(error).strip().splitlines()[0]}"
        ) from error
    text = config.get_text_config()
    return PolicySize(
        num_parameters=sum(sizes),
        num_trained=sum(parameter.numel() for parameter in scorer.parameters() if parameter.requires_grad),
        num_pinned=sum(1 << (elements - 1).bit_length() for elements in sizes),
        num_layers=text.num_hidden_layers,
        hidden_size=text.hidden_size,
        num_kv_heads=text.num_key_value_heads,
        head_size=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
        vocabulary=text.vocab_size,
    )
