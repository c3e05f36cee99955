"""(image, question) to prompt tokens and pixel tensors; the one owner of the chat template.

Letters: P prompt tokens, T answer tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoProcessor

from ray_iqa.answers.prompt import questions_of, text_parts
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import ConfigError, DataError

# Per-token model inputs that some families need beside the token ids.
_TOKEN_TYPE_NAMES = ("mm_token_type_ids", "token_type_ids")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPrompt:
    """What the model reads before it answers about one image."""

    token_ids: torch.Tensor  # int64 [P], image tokens expanded
    token_types: Mapping[str, torch.Tensor]  # per-token inputs [P] by name, such as mm_token_type_ids
    vision: Mapping[str, torch.Tensor]  # pixel_values, image_grid_thw, ... by name


class PolicyInputs:
    """Loads a model's processor once and asks the configured question about any image.

    Safe to call from several threads.

    Raises:
        ConfigError: the model or the prompt cannot be found.
    """

    def __init__(self, policy: PolicyConfig) -> None:
        self._processor = _load_processor(policy)
        self._tokenizer: Any = self._processor.tokenizer
        self._size = _pixel_limits(self._processor.image_processor, policy)
        if self._size is not None:
            self._processor.image_processor.size = self._size
        prompts = questions_of(policy)
        self._messages = prompts[None].messages
        self._prompt_text: dict[str | None, str] = {
            question: self._render(prompt.messages, add_generation_prompt=True) for question, prompt in prompts.items()
        }
        self.question_token_ids = {name: tuple(self._token_ids(text)) for name, text in self._prompt_text.items()}
        """By question the prompt with the image as its one unexpanded placeholder, as vLLM wants it."""
        self.prompt_token_ids = self.question_token_ids[None]
        self.stop_token_ids: tuple[int, ...] = self._find_stop_token_ids()
        """Tokens that end an answer; the first one ends a turn in this chat template."""
        self.banned_token_ids: tuple[int, ...] = self._find_banned_token_ids()
        """Special tokens, those of images and videos included, that an answer must never contain."""
        self._special_texts = self._find_special_texts()

    @property
    def mm_processor_kwargs(self) -> dict[str, Any]:
        """Engine argument with which vLLM preprocesses images exactly as `encode` does."""
        return {} if self._size is None else {"size": dict(self._size)}

    @property
    def bounds_of_answers(self) -> dict[str, Any]:
        """What ends an answer and what may not be in it, as arguments of vLLM's ``SamplingParams``."""
        return {
            "stop_token_ids": list(self.stop_token_ids),
            "ignore_eos": True,  # they alone decide
            "logit_bias": dict.fromkeys(self.banned_token_ids, float("-inf")),
        }

    def encode(self, image: Image.Image, question: str | None = None) -> EncodedPrompt:
        """Prompt tokens and pixels of one RGB image; ``question`` as in `LabelledImage`."""
        encoded = dict(self._processor(text=[self._prompt_text[question]], images=[image], return_tensors="pt"))
        token_ids = encoded.pop("input_ids")[0]
        encoded.pop("attention_mask", None)
        token_types = {name: encoded.pop(name)[0] for name in _TOKEN_TYPE_NAMES if name in encoded}
        return EncodedPrompt(token_ids=token_ids, token_types=token_types, vision=encoded)

    def encode_answer(self, text: str) -> NDArray[np.int32]:
        """Tokens [T] of an answer, the end of the turn included."""
        return np.asarray([*self._token_ids(text), self.stop_token_ids[0]], dtype=np.int32)

    def decode(self, token_ids: Sequence[int] | NDArray[np.int32]) -> str:
        """Text of an answer without its special tokens."""
        kept = [int(token) for token in token_ids]
        return self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def chat_token_ids(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Prompt of a conversation in the form that chat templates take; an image is one unexpanded placeholder.

        Raises:
            DataError: a text holds one of the tokens that structure a prompt.
        """
        for message in messages:
            for part in message["content"]:
                self.check_text(part.get("text", ""))
        return self._token_ids(self._render([dict(message) for message in messages], add_generation_prompt=True))

    def check_text(self, text: str) -> None:
        """Check a text of a message.

        Raises:
            DataError: it holds one of the tokens that structure a prompt.
        """
        if found := next((token for token in self._special_texts if token in text), None):
            raise DataError(f"a message must not hold the special token {found}")

    def reads_as(self, other: "PolicyInputs") -> bool:
        """Whether both make the same tokens and pixels of everything."""
        mine, others = self._processor, other._processor
        return (
            self._tokenizer.get_vocab() == other._tokenizer.get_vocab()
            and self.question_token_ids == other.question_token_ids
            and self.stop_token_ids == other.stop_token_ids
            and mine.chat_template == others.chat_template
            and mine.image_processor.to_dict() == others.image_processor.to_dict()
        )

    def save(self, folder: Path) -> None:
        """Write processor, tokenizer and chat template; whoever loads them gets the same pixel limits."""
        self._processor.save_pretrained(folder)

    def _render(self, messages: list[dict[str, Any]], **options: bool) -> str:
        return self._processor.apply_chat_template(messages, tokenize=False, **options)

    def _token_ids(self, text: str) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def _find_stop_token_ids(self) -> tuple[int, ...]:
        # Whatever the template writes after an assistant's words ends the turn.
        marker = "ANSWER"
        answered = self._render([*self._messages, {"role": "assistant", "content": text_parts(marker)}])
        end_of_turn = self._token_ids(answered.rsplit(marker, maxsplit=1)[1])[:1]
        return tuple(dict.fromkeys([*end_of_turn, self._tokenizer.eos_token_id]))

    def _find_special_texts(self) -> tuple[str, ...]:
        added = self._tokenizer.added_tokens_decoder.values()
        special = {token.content for token in added if token.special}
        return tuple(sorted(special.union(self._processor.all_special_multimodal_tokens)))

    def _find_banned_token_ids(self) -> tuple[int, ...]:
        added = self._tokenizer.added_tokens_decoder
        special = {token_id for token_id, token in added.items() if token.special}
        special.update(self._tokenizer.all_special_ids)
        special.update(self._token_ids("".join(self._processor.all_special_multimodal_tokens)))
        return tuple(sorted(special.difference(self.stop_token_ids)))


def _load_processor(policy: PolicyConfig) -> Any:  # noqa: ANN401 - processor classes differ by family
    loader: Any = AutoProcessor
    try:
        return loader.from_pretrained(policy.model, revision=policy.revision)
    except (OSError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"policy.model must be a folder or hub name with a processor, got {policy.model!r}: {first_line}"
        ) from error


def _pixel_limits(image_processor: Any, policy: PolicyConfig) -> dict[str, int] | None:  # noqa: ANN401 - untyped family
    """The limits as the image processor spells them; None where its images have a fixed size."""
    if "min_pixels" not in image_processor.valid_kwargs.__annotations__:
        return None
    return {"shortest_edge": policy.min_pixels, "longest_edge": policy.max_pixels}
