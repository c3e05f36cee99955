"""A vision-language model of about a million random weights, in the shape of a real family.

transformers and vLLM load the folder like any other model: configuration, safetensors, processor,
tokenizer, chat template, generation configuration. Random weights cannot see; `vision_warm_up` and
`cold_start` come next.
"""

from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)
from transformers.models.qwen3_5 import Qwen3_5Config, Qwen3_5ForConditionalGeneration

from ray_iqa.errors import ConfigError
from ray_iqa.quickstart.tiny_tokenizer import build_tiny_tokenizer

Family = Literal["qwen2_5_vl", "qwen3_vl", "qwen3_5"]

_INIT_STD = 0.05
# Head size 32 is the smallest that vLLM's attention takes on a CPU.
_TEXT = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 256,
    "max_position_embeddings": 4096,
    "initializer_range": _INIT_STD,
    "tie_word_embeddings": False,
}
_VISION = {
    "depth": 2,
    "hidden_size": 96,
    "num_heads": 2,
    "intermediate_size": 256,
    "out_hidden_size": 128,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "initializer_range": _INIT_STD,
}


def build_tiny_policy(folder: str | Path, family: Family = "qwen2_5_vl", seed: int = 0) -> Path:
    """Write a policy with random weights to ``folder`` and return it.

    Args:
        folder: where the Hugging Face files go; created when missing.
        family: architecture. qwen2_5_vl cuts a picture into patches of 14 pixels, the others of 16; 2 x 2 patches
            become one token. The first of two layers of qwen3_5 has linear attention.
        seed: of the weights; the same seed writes the same weights.

    Raises:
        ConfigError: the family is none of these.
    """
    if family not in _MODELS:
        raise ConfigError(f"family must be one of {', '.join(_MODELS)}, got {family!r}")
    folder = Path(folder)
    tokenizer = build_tiny_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _MODELS[family](_config(family, tokenizer))
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=True
    )
    save_policy(model, _processor(family, tokenizer), folder)
    return folder


def save_policy(model: PreTrainedModel, processor: ProcessorMixin, folder: Path) -> None:
    """Write model, processor and tokenizer; parameter names stay those of `named_parameters`."""
    model.save_pretrained(folder, save_original_format=False)
    processor.save_pretrained(folder)


_MODELS: dict[str, type[PreTrainedModel]] = {
    "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration,
    "qwen3_vl": Qwen3VLForConditionalGeneration,
    "qwen3_5": Qwen3_5ForConditionalGeneration,
}


def _config(family: Family, tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    tokens: dict[str, Any] = {  # Any: keyword arguments of two configuration classes
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (
            ("image", "image_pad"),
            ("video", "video_pad"),
            ("vision_start", "vision_start"),
            ("vision_end", "vision_end"),
        )
    }
    text = {
        **_TEXT,
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if family == "qwen2_5_vl":
        text["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]}
        vision = {**_VISION, "patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1]}
        return Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False, **tokens)
    text["head_dim"] = 32
    text["rope_parameters"] = {
        "rope_type": "default",
        "rope_theta": 1e4,
        "mrope_section": [6, 5, 5],
        "mrope_interleaved": True,
    }
    vision = {**_VISION, "patch_size": 16, "num_position_embeddings": 64}
    if family == "qwen3_5":
        text["rope_parameters"] |= {"partial_rotary_factor": 0.5, "mrope_section": [3, 3, 2]}
        text |= {
            "layer_types": ["linear_attention", "full_attention"],
            "linear_num_key_heads": 1,
            "linear_num_value_heads": 2,
            "linear_key_head_dim": 128,  # what vLLM takes on a CPU
            "linear_value_head_dim": 128,
        }
        return Qwen3_5Config(text_config=text, vision_config=vision, tie_word_embeddings=False, **tokens)
    vision["deepstack_visual_indexes"] = [0]
    return Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False, **tokens)


def _processor(family: Family, tokenizer: PreTrainedTokenizerFast) -> ProcessorMixin:
    if family == "qwen2_5_vl":
        return Qwen2_5_VLProcessor(  # type: ignore[no-untyped-call]
            Qwen2VLImageProcessor(patch_size=14, min_pixels=56 * 56),
            tokenizer,
            Qwen2VLVideoProcessor(patch_size=14),
            chat_template=tokenizer.chat_template,
        )
    half = [0.5, 0.5, 0.5]
    return Qwen3VLProcessor(  # type: ignore[no-untyped-call]
        Qwen2VLImageProcessor(patch_size=16, min_pixels=64 * 64, image_mean=half, image_std=half),
        tokenizer,
        Qwen3VLVideoProcessor(patch_size=16),
        chat_template=tokenizer.chat_template,
    )
