"""How many tokens a question about a picture has, and an answer at least, by the files of the policy alone."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray_iqa.answers.prompt import Prompt, questions_of
from ray_iqa.config.policy import PolicyConfig

Length = Callable[[int, int], int]
"""Width and height of a picture -> tokens of the whole prompt."""


def prompt_length(policy: PolicyConfig) -> Length | None:
    """For a policy whose files lie here, in a folder or in the cache of the hub; None where they cannot tell.

    They can for image processors of Qwen2-VL's kind, which Qwen2.5-VL and Qwen3-VL have too.
    """
    try:
        folder = _folder(policy)
        whole = _read(folder, "processor_config.json")
        settings = whole.get("image_processor") or _read(folder, "preprocessor_config.json")
        if "Qwen2VL" not in settings["image_processor_type"]:
            return None
        num_text_tokens = max(_num_text_tokens(folder, prompt) for prompt in questions_of(policy).values())
        side = settings.get("patch_size", 14) * settings.get("merge_size", 2)
    except Exception:  # noqa: BLE001 - what is wrong with a policy's files is said by whoever loads it
        return None
    return lambda width, height: num_text_tokens + _num_image_tokens(width, height, side, policy)


def shortest_answer_length(policy: PolicyConfig) -> int:
    """Tokens of the shortest answer that has the format of any question; 0 for a policy whose files do not lie here."""
    from tokenizers import Tokenizer

    file = _folder(policy) / "tokenizer.json"
    if not file.is_file():
        return 0
    encode = Tokenizer.from_file(str(file)).encode
    answers = [prompt.shortest_answer for prompt in questions_of(policy).values()]
    return max(len(encode(answer, add_special_tokens=False).ids) for answer in answers) + 1  # the end of the turn


def _num_image_tokens(width: int, height: int, side: int, policy: PolicyConfig) -> int:
    """Squares of ``side`` pixels in a picture brought within the policy's limits, rounded as transformers does."""
    sides = [round(length / side) for length in (width, height)]
    if math.prod(sides) * side**2 > policy.max_pixels:
        shrink = math.sqrt(width * height / policy.max_pixels)
        sides = [max(1, math.floor(length / shrink / side)) for length in (width, height)]
    elif math.prod(sides) * side**2 < policy.min_pixels:
        grow = math.sqrt(policy.min_pixels / (width * height))
        sides = [math.ceil(length * grow / side) for length in (width, height)]
    return math.prod(sides)


def lack_of_room(num_tokens: int, max_tokens: int, max_model_len: int) -> str | None:
    """Why a prompt of so many tokens is too long for an answer of up to ``max_tokens``; None where it is not."""
    if num_tokens + max_tokens <= max_model_len:
        return None
    return (
        f"its prompt of {num_tokens:,} tokens and an answer of rollout.max_tokens {max_tokens:,} must fit into "
        f"rollout.max_model_len {max_model_len:,}; lower policy.max_pixels or raise rollout.max_model_len"
    )


def _folder(policy: PolicyConfig) -> Path:
    folder = Path(policy.model)
    if (folder / "config.json").is_file():
        return folder
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(policy.model, "config.json", revision=policy.revision)
    return Path(found).parent if isinstance(found, str) else folder


def _num_text_tokens(folder: Path, prompt: Prompt) -> int:
    """Tokens of the rendered question without the one that stands for the picture."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from tokenizers import Tokenizer

    file = folder / "chat_template.jinja"
    template = (
        file.read_text(encoding="utf-8")
        if file.is_file()
        else (_read(folder, "chat_template.json") or _read(folder, "tokenizer_config.json"))["chat_template"]
    )
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    text = environment.from_string(template).render(messages=prompt.messages, add_generation_prompt=True)
    return len(Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids) - 1


def _read(folder: Path, name: str) -> dict[str, Any]:  # Any: JSON
    file = folder / name
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}
