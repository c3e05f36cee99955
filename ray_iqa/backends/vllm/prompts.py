"""Prompts in the form that a vLLM engine takes without further work, made ahead of time or when asked for."""

from collections.abc import Sequence
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


class ImagePrompts:
    """Reads and preprocesses each image once, whatever the number of completions."""

    def __init__(
        self,
        llm: Any,  # noqa: ANN401 - vllm is untyped
        prompt_token_ids: Sequence[int],
        max_model_len: int,
    ) -> None:
        """``prompt_token_ids`` is the question, with the image as its one unexpanded placeholder."""
        self._renderer, self._question = llm.renderer, list(prompt_token_ids)
        self._max_model_len = max_model_len
        self._prepared: dict[str, Prompt] = {}  # by path

    def prepare(self, images: Sequence[LabelledImage]) -> None:
        """Make the prompts of a coming `take`; those of an earlier call that nobody took are dropped."""
        self._prepared = {}
        made = self._made(images)
        self._prepared = {path: prompt for path, prompt in made.items() if not isinstance(prompt, str)}

    def take(self, images: Sequence[LabelledImage], max_tokens: int) -> list[Prompt | str]:
        """The prompts of ``images``, for answers of up to ``max_tokens``; what is not prepared is made now.

        In the place of a prompt that cannot be made, or that leaves no room for the answer, stands why.
        """
        missing = [image for image in images if image.image_path not in self._prepared]
        prompts: dict[str, Prompt | str] = {**self._prepared, **self._made(missing)}
        for image in images:
            self._prepared.pop(image.image_path, None)
        return self._with_room([prompts[image.image_path] for image in images], max_tokens)

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
        return self._with_room(self._made_of(pictures), max_tokens)

    def _with_room(self, prompts: Sequence[Prompt | str], max_tokens: int) -> list[Prompt | str]:
        return [
            prompt
            if isinstance(prompt, str)
            else lack_of_room(len(prompt["prompt_token_ids"]), max_tokens, self._max_model_len) or prompt
            for prompt in prompts
        ]

    def _made_of(self, pictures: Sequence[Image.Image | str]) -> list[Prompt | str]:
        found = iter(self._each_rendered([picture for picture in pictures if not isinstance(picture, str)]))
        return [picture if isinstance(picture, str) else next(found) for picture in pictures]

    def of(self, picture: Any, answer: Sequence[int] = ()) -> Prompt:  # noqa: ANN401 - Pillow's image
        """The question about a picture, and the tokens of an answer begun; not rendered yet."""
        return {"prompt_token_ids": [*self._question, *answer], "multi_modal_data": {"image": picture}}

    def _each_rendered(self, pictures: Sequence[Image.Image]) -> list[Prompt | str]:
        """An engine refuses a whole call for one picture, so each is then asked about alone."""
        try:
            return [*self.rendered([self.of(picture) for picture in pictures])]
        except ConfigError as error:
            if len(pictures) == 1:
                return [f"the policy cannot look at it: {_innermost(error)}"]
        return [found for picture in pictures for found in self._each_rendered([picture])]

    def _made(self, images: Sequence[LabelledImage]) -> dict[str, Prompt | str]:
        paths = list(dict.fromkeys(image.image_path for image in images))
        with ThreadPoolExecutor(_DECODE_THREADS) as pool:
            pictures = list(pool.map(picture_or_reason, paths))
        return dict(zip(paths, self._made_of(pictures), strict=True))


def _innermost(error: BaseException) -> BaseException:
    """The model's own sentence; an engine's one around it has addresses in memory."""
    return error if error.__cause__ is None else _innermost(error.__cause__)
