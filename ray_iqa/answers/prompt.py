"""The questions a policy is asked, with their published wording.

``thinking`` and ``non-thinking`` are VisualQuality-R1's (arXiv 2505.14460, table 1, and its README);
``q-insight`` is the score question of Q-Insight (arXiv 2503.22679).
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from ray_iqa.config.policy import PolicyConfig, PromptConfig
from ray_iqa.errors import ConfigError, hint
from ray_iqa.types import SCALE, Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One question: a system message, then one user turn with the image first and ``text`` after it.

    The system message is spelled out because chat templates differ: without one, Qwen2.5-VL's
    template inserts "You are a helpful assistant." and Qwen3-VL's inserts nothing. Sent explicitly,
    both families see the prompt that VisualQuality-R1 was trained with.
    """

    id: str
    system: str | None  # None sends no system message
    text: str
    answer_format: Literal["tagged", "json", "object"]  # see `PromptConfig.answer_format`
    asks_reasoning: bool  # a well-formed completion thinks in <think> tags first
    scale: Scale = SCALE  # of the score

    @property
    def messages(self) -> list[dict[str, Any]]:  # Any: as chat templates take it
        """The question as a conversation for a chat template."""
        system = [] if self.system is None else [{"role": "system", "content": text_parts(self.system)}]
        return [*system, {"role": "user", "content": [{"type": "image"}, *text_parts(self.text)]}]

    @property
    def shortest_answer(self) -> str:
        """As short as an answer in the format asked for can be."""
        score = f"{self.scale.minimum:g}"
        answer = {"tagged": score, "json": f'{{"rating": {score}}}', "object": "{}"}[self.answer_format]
        if not self.asks_reasoning:
            return f"<answer>{answer}</answer>"
        if self.answer_format == "tagged":
            return f"<think></think><answer>{answer}</answer>"
        return f"<think>\n\n</think>\n<answer>\n{answer}\n</answer>"


def text_parts(text: str) -> list[dict[str, str]]:
    """A text as the content of a chat template's message."""
    return [{"type": "text", "text": text}]


_RATING = (
    "What is your overall rating on the quality of this picture? The rating should be a float between 1 and 5, "
    "rounded to two decimal places, with 1 representing very poor quality and 5 representing excellent quality."
)
QUESTION = f"You are doing the image quality assessment task. Here is the question: {_RATING}"
"""What VisualQuality-R1 asks, without the instructions on thinking and format; its training files hold this."""
_ASSISTANT = "You are a helpful assistant."

_PROMPTS = (
    Prompt(
        id="thinking",
        system=_ASSISTANT,
        text=f"{QUESTION} First output the thinking process in <think> </think> tags and then output the final "
        "answer with only one score in <answer> </answer> tags.",
        answer_format="tagged",
        asks_reasoning=True,
    ),
    Prompt(
        id="non-thinking",
        system=_ASSISTANT,
        text=f"{QUESTION} Please only output the final answer with only one score in <answer> </answer> tags.",
        answer_format="tagged",
        asks_reasoning=False,
    ),
    Prompt(
        id="q-insight",
        system="A conversation between User and Assistant. The user asks a question, and the Assistant solves it. "
        "The assistant first thinks about the reasoning process in the mind and then provides the user with the "
        "answer. The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, "
        "respectively, i.e., <think> reasoning process here </think><answer> answer here </answer>",
        text=f'{_RATING} Return the final answer in JSON format with the following keys: "rating": The score.',
        answer_format="json",
        asks_reasoning=True,
    ),
)


def questions_of(policy: PolicyConfig) -> dict[str | None, Prompt]:
    """All that a policy is asked, by `LabelledImage.question`.

    Raises:
        ConfigError: as `prompt_by_id`.
    """
    return {None: prompt_by_id(policy.prompt)} | {name: prompt_by_id(own) for name, own in policy.questions.items()}


def prompt_by_id(prompt_id: str | PromptConfig) -> Prompt:
    """The prompt of that id, or one of the user's own, whose id is "own-" and a digest of its content.

    Raises:
        ConfigError: there is none; the message names all ids and the nearest.
    """
    if isinstance(prompt_id, PromptConfig):
        content = prompt_id.model_dump(exclude={"scale"})
        digest = hashlib.sha256(prompt_id.model_dump_json().encode()).hexdigest()[:12]
        return Prompt(id=f"own-{digest}", scale=Scale(*prompt_id.scale), **content)
    prompts = {prompt.id: prompt for prompt in _PROMPTS}
    if prompt_id in prompts:
        return prompts[prompt_id]
    raise ConfigError(
        f"policy.prompt must be a YAML file or one of {', '.join(prompts)}, got {prompt_id!r}{hint(prompt_id, prompts)}"
    )
