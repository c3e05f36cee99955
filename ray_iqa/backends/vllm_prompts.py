"""Prompts in the form that a vLLM engine takes without further work, made ahead of time or when asked for."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ray_iqa.backends.vllm_engine import refusals_named
from ray_iqa.data.images import load_image
from ray_iqa.types import LabelledImage

_DECODE_THREADS = 4

Prompt = dict[str, Any]  # Any: vLLM's own types


class ImagePrompts:
    """Reads and preprocesses each image once, whatever the number of completions."""

    def __init__(self, llm: Any, prompt_token_ids: Sequence[int]) -> None:  # noqa: ANN401 - vllm is untyped
        """``prompt_token_ids`` is the question, with the image as its one unexpanded placeholder."""
        self._renderer, self._question = llm.renderer, list(prompt_token_ids)
        self._prepared: dict[str, Prompt] = {}  # by path

    def prepare(self, images: Sequence[LabelledImage]) -> None:
        """Make the prompts of a coming `take`; those of an earlier call that nobody took are dropped.

        Raises:
            DataError: an image cannot be read; the message names it.
        """
        self._prepared = {}
        self._prepared = self._made(images)

    def take(self, images: Sequence[LabelledImage]) -> list[Prompt]:
        """The prompts of ``images``; what is not prepared is made now. Raises as `prepare`."""
        missing = [image for image in images if image.image_path not in self._prepared]
        prompts = self._prepared | self._made(missing)
        for image in images:
            self._prepared.pop(image.image_path, None)
        return [prompts[image.image_path] for image in images]

    def rendered(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """Pictures preprocessed and image tokens expanded.

        Raises:
            ConfigError: vLLM refuses a prompt.
        """
        # Without the cache whose other half lies in the engine: that half is emptied by every weight update.
        with refusals_named():
            return self._renderer.render_cmpl(prompts, skip_mm_cache=True) if prompts else []

    def of(self, picture: Any, answer: Sequence[int] = ()) -> Prompt:  # noqa: ANN401 - Pillow's image
        """The question about a picture, and the tokens of an answer begun; not rendered yet."""
        return {"prompt_token_ids": [*self._question, *answer], "multi_modal_data": {"image": picture}}

    def _made(self, images: Sequence[LabelledImage]) -> dict[str, Prompt]:
        paths = list(dict.fromkeys(image.image_path for image in images))
        with ThreadPoolExecutor(_DECODE_THREADS) as pool:
            pictures = list(pool.map(load_image, paths))
        return dict(zip(paths, self.rendered([self.of(picture) for picture in pictures]), strict=True))
