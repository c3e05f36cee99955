"""Prompts in the form that a vLLM engine takes without further work, made ahead of time or when asked for."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from PIL import Image

from ray_iqa.backends.vllm.engine import refusals_named
from ray_iqa.data.images import picture_or_reason
from ray_iqa.errors import ConfigError
from ray_iqa.runs.prompt_length import lack_of_room
from ray_iqa.types import LabelledImage

_DECODE_THREADS = 4

Prompt = dict[str, Any]  # Any: vLLM's own types
_Key = tuple[str, str | None]  # path and question


class ImagePrompts:
    """Reads and preprocesses each image once, whatever the number of completions."""

    def __init__(
        self,
        llm: Any,  # noqa: ANN401 - vllm is untyped
        prompt_token_ids: Mapping[str | None, Sequence[int]],
        max_model_len: int,
    ) -> None:
        """``prompt_token_ids`` are the questions, each with the image as its one unexpanded placeholder."""
        self._renderer, self._questions = llm.renderer, prompt_token_ids
        self._max_model_len = max_model_len
        self._prepared: dict[_Key, Prompt] = {}

    def prepare(self, images: Sequence[LabelledImage]) -> None:
        """Make the prompts of a coming `take`; those of an earlier call that nobody took are dropped."""
        self._prepared = {}
        made = self._made(images)
        self._prepared = {key: prompt for key, prompt in made.items() if not isinstance(prompt, str)}

    def take(self, images: Sequence[LabelledImage], max_tokens: int) -> list[Prompt | str]:
        """The prompts of ``images``, for answers of up to ``max_tokens``; what is not prepared is made now.

        In the place of a prompt that cannot be made, or that leaves no room for the answer, stands why.
        """
        keys = [(image.image_path, image.question) for image in images]
        missing = [image for image, key in zip(images, keys, strict=True) if key not in self._prepared]
        prompts: dict[_Key, Prompt | str] = {**self._prepared, **self._made(missing)}
        for key in keys:
            self._prepared.pop(key, None)
        return self._with_room([prompts[key] for key in keys], max_tokens)

    def rendered(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """Pictures preprocessed and image tokens expanded.

        Raises:
            ConfigError: vLLM refuses a prompt.
        """
        # Without the cache whose other half lies in the engine: that half is emptied by every weight update.
        with refusals_named():
            return self._renderer.render_cmpl(prompts, skip_mm_cache=True) if prompts else []

    def of_pictures(self, pictures: Sequence[Image.Image | str], max_tokens: int) -> list[Prompt | str]:
        """As `take`, with pictures that are decoded already; a sentence in the place of one stays there."""
        return self._with_room(self._made_of(pictures, [None] * len(pictures)), max_tokens)

    def _with_room(self, prompts: Sequence[Prompt | str], max_tokens: int) -> list[Prompt | str]:
        return [
            prompt
            if isinstance(prompt, str)
            else lack_of_room(len(prompt["prompt_token_ids"]), max_tokens, self._max_model_len) or prompt
            for prompt in prompts
        ]

    def _made_of(self, pictures: Sequence[Image.Image | str], questions: Sequence[str | None]) -> list[Prompt | str]:
        prompts = [
            self.of(picture, question=question)
            for picture, question in zip(pictures, questions, strict=True)
            if not isinstance(picture, str)
        ]
        found = iter(self._each_rendered(prompts))
        return [picture if isinstance(picture, str) else next(found) for picture in pictures]

    def of(self, picture: Any, answer: Sequence[int] = (), question: str | None = None) -> Prompt:  # noqa: ANN401 - Pillow's image
        """The question about a picture, and the tokens of an answer begun; not rendered yet."""
        return {"prompt_token_ids": [*self._questions[question], *answer], "multi_modal_data": {"image": picture}}

    def _each_rendered(self, prompts: Sequence[Prompt]) -> list[Prompt | str]:
        """An engine refuses a whole call for one picture, so each is then asked about alone."""
        try:
            return [*self.rendered(prompts)]
        except ConfigError as error:
            if len(prompts) == 1:
                return [f"the policy cannot look at it: {_innermost(error)}"]
        return [found for prompt in prompts for found in self._each_rendered([prompt])]

    def _made(self, images: Sequence[LabelledImage]) -> dict[_Key, Prompt | str]:
        keys = list(dict.fromkeys((image.image_path, image.question) for image in images))
        paths = list(dict.fromkeys(path for path, _ in keys))
        with ThreadPoolExecutor(_DECODE_THREADS) as pool:
            picture_of = dict(zip(paths, pool.map(picture_or_reason, paths), strict=True))
        made = self._made_of([picture_of[path] for path, _ in keys], [question for _, question in keys])
        return dict(zip(keys, made, strict=True))


def _innermost(error: BaseException) -> BaseException:
    """The model's own sentence; an engine's one around it has addresses in memory."""
    return error if error.__cause__ is None else _innermost(error.__cause__)
