"""Sampling that goes on when the engine refuses a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from ray_iqa.errors import ConfigError
from ray_iqa.types import LabelledImage, RolloutGroup, SamplingSpec

if TYPE_CHECKING:  # drivers import this module, and an engine belongs in its worker only
    from ray_iqa.backends.vllm_sampler import VllmSampler


def sample_each(
    sampler: "VllmSampler", images: Sequence[LabelledImage], pictures: Sequence[Image.Image], spec: SamplingSpec
) -> list[RolloutGroup | str]:
    """One group per picture, or the reason why the model cannot look at it.

    An engine refuses a whole call for one picture; the picture is found by halving the call.
    """
    if not images:
        return []
    try:
        return [*sampler.sample_pictures(images, pictures, spec)]
    except ConfigError as error:
        if len(images) == 1:
            return [f"the policy cannot look at it: {_innermost(error)}"]
    half = len(images) // 2
    return [
        *sample_each(sampler, images[:half], pictures[:half], spec),
        *sample_each(sampler, images[half:], pictures[half:], spec),
    ]


def _innermost(error: BaseException) -> BaseException:
    """The model's own sentence; an engine's one around it has addresses in memory."""
    return error if error.__cause__ is None else _innermost(error.__cause__)
