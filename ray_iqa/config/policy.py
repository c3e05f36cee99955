"""Section ``policy``: the vision-language model and how it is asked."""

from typing import Literal

from pydantic import PositiveInt

from ray_iqa.config.section import Section


class QuestionConfig(Section):
    """What a model is asked, and how it sees and computes."""

    prompt: str = "thinking"
    """Id of the question: thinking, non-thinking or q-insight (see ray_iqa.answers.prompt)."""
    min_pixels: PositiveInt = 3136
    """Smaller images are enlarged to this many pixels by the model's own image processor."""
    max_pixels: PositiveInt = 1_003_520
    """Larger images are reduced to this many pixels by the model's own image processor."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Of the weights in the sampler and in the learner's forward pass."""


class PolicyConfig(QuestionConfig):
    """Which model is trained and what it is asked."""

    model: str
    """A folder or a Hugging Face hub name of an image-text-to-text model that vLLM serves."""
    revision: str | None = None
    """Git revision of a hub model."""
