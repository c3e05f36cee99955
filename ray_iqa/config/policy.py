"""Section ``policy``: the vision-language model and how it is asked."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt

from ray_iqa.config.load import build_config, read_tree
from ray_iqa.config.section import Section


class PromptConfig(Section):
    """A question of your own, as a YAML file holds it."""

    text: str
    """The user's turn, after the image."""
    system: str | None = "You are a helpful assistant."
    """The system message; null sends none."""
    answer_format: Literal["tagged", "json", "object"] = "tagged"
    """A score as <answer>3.50</answer>, a score as a flat JSON object with the key rating in the answer tags, or any
    flat JSON object there, which has no score and is read by a reward term of your own."""
    asks_reasoning: bool = True
    """A well-formed answer thinks in <think> tags first."""
    scale: tuple[float, float] = (1.0, 5.0)
    """Lowest and highest score."""

    def _disagreements(self) -> Iterator[str]:
        if not self.scale[0] < self.scale[1]:
            yield f"scale must be two rising numbers, got {self.scale}"


def _file_read(value: Any) -> Any:  # noqa: ANN401 - pydantic says what is wrong
    """The content in the place of a YAML file's name: so it travels with the configuration and belongs to the run."""
    if not isinstance(value, str) or not value.endswith((".yaml", ".yml")):
        return value
    return build_config(PromptConfig, read_tree(value), [], value)


Question = Annotated[str | PromptConfig, BeforeValidator(_file_read)]


class QuestionConfig(Section):
    """What a model is asked, and how it sees and computes."""

    prompt: Question = "thinking"
    """The question: thinking, non-thinking or q-insight (see ray_iqa.answers.prompt), or a YAML file of your own."""
    min_pixels: PositiveInt = 3136
    """Smaller images are enlarged to this many pixels by the model's own image processor."""
    max_pixels: PositiveInt = 1_003_520
    """Larger images are reduced to this many pixels by the model's own image processor."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Of the weights in the sampler and in the learner's forward pass."""

    def _disagreements(self) -> Iterator[str]:
        if self.min_pixels > self.max_pixels:
            yield f"min_pixels must be at most max_pixels, got {self.min_pixels} > {self.max_pixels}"


class PolicyConfig(QuestionConfig):
    """Which model is trained and what it is asked."""

    model: str
    """A folder or a Hugging Face hub name of an image-text-to-text model that vLLM serves."""
    revision: str | None = None
    """Git revision of a hub model."""
    questions: dict[str, Question] = Field(default={})
    """Further questions by name, which manifests of data.train choose: ids or YAML files as for prompt."""
