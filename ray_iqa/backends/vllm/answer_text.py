"""An answer that arrives token by token."""

from typing import Any

from ray_iqa.answers.thinking import split_thinking
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.serving.conversation import Delta

_HALF_CHARACTER = "\ufffd"  # what a decoder writes for the first bytes of a character


class AnswerText:
    """Collects one answer; the parts that were handed out as deltas add up to the whole."""

    def __init__(self, inputs: PolicyInputs) -> None:
        self._inputs = inputs
        self.token_ids: list[int] = []
        self.finish_reason: str | None = None
        self._num_reasoning = self._num_content = 0

    @property
    def text(self) -> str:
        """All of it so far, special tokens removed."""
        return self._inputs.decode(self.token_ids)

    def add(self, choice: Any) -> None:  # noqa: ANN401 - vLLM's CompletionOutput
        """Take the next tokens."""
        self.token_ids += choice.token_ids
        self.finish_reason = choice.finish_reason or self.finish_reason

    def new_delta(self) -> Delta | None:
        """What is legible and was not handed out yet."""
        complete = self.finish_reason is not None
        text = self.text if complete else self.text.rstrip(_HALF_CHARACTER)
        reasoning, content = split_thinking(text, complete=complete)
        delta = Delta(reasoning=reasoning[self._num_reasoning :], content=content[self._num_content :])
        self._num_reasoning, self._num_content = len(reasoning), len(content)
        return delta if delta.reasoning or delta.content else None
