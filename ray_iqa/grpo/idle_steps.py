"""Steps that teach nothing: the first is a warning, several in a row end the run instead of a success."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ray_iqa.errors import ConfigError
from ray_iqa.types import Answer, Completion, ParseFailure, RewardTable, RolloutGroup, TrainingBatch

logger = logging.getLogger(__name__)
MOST_IDLE_STEPS = 5
"""So many in a row end a run."""
NOT_FINITE = (
    "the loss or its gradients were not finite: lower learner.learning_rate, or see that the policy's weights and "
    "learner.max_grad_norm are sane, and resume from the last checkpoint"
)
_LONGEST_EXAMPLE = 120  # characters of an answer


class IdleSteps:
    """Counts the steps in a row after which the policy was as before."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def note(self, step: int, why: str | None, *, never_learned: bool = False) -> None:
        """Hear of a step; ``why`` says what kept it from an update, None if it made one.

        Args:
            step: its number.
            why: ends a sentence.
            never_learned: the run is at its end without a single update.

        Raises:
            ConfigError: it was the fifth without an update in a row, or the run never made one.
        """
        if why is None:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row == MOST_IDLE_STEPS or never_learned:
            raise ConfigError(f"{self._in_a_row} steps in a row taught the policy nothing, the last is {step}: {why}")
        if self._in_a_row == 1:
            logger.warning("step %d taught the policy nothing: %s", step, why)


def why_idle(
    batch: TrainingBatch,
    groups: Sequence[RolloutGroup],
    table: RewardTable,
    read_answer: Callable[[str], Answer | ParseFailure],
) -> str:
    """What kept a step from an update: what happened to most of its answers, with an example.

    Args:
        batch: what the learner was given.
        groups: B, as sampled.
        table: their rewards, fields [B, K].
        read_answer: the reward's parser.
    """
    if batch.groups:
        return NOT_FINITE
    fates = Counter(
        _fate(completion, read_answer(completion.text), group.problem, is_read=bool(is_read))
        for group, parsed in zip(groups, table.parsed, strict=True)
        for completion, is_read in zip(group.completions, parsed, strict=True)
    )
    by_remedy = Counter[str]()  # first, for reasons that quote the answers are all different
    for fate, count in fates.items():
        by_remedy[fate.remedy] += count
    [(remedy, count)] = by_remedy.most_common(1)
    what, example = next((fate.what, fate.example) for fate, _ in fates.most_common() if fate.remedy == remedy)
    return (
        f"{count} of {fates.total()} answers {what}, for example {example!r}; "
        f"start anew, in another run_dir, with {remedy}"
    )


@dataclass(frozen=True)
class _Fate:
    """What became of an answer; ``example`` does not tell two of them apart."""

    what: str
    remedy: str
    example: str = field(compare=False)


def _fate(completion: Completion, answer: Answer | ParseFailure, problem: str | None, *, is_read: bool) -> _Fate:
    example = (problem or completion.text)[:_LONGEST_EXAMPLE]
    if completion.finish_reason == "abort":
        return _Fate("were aborted", "pictures and engines that do not fail; the log names them", example)
    if is_read or isinstance(answer, Answer):
        remedy = "more rollout.num_completions, or a policy whose answers about one picture differ"
        return _Fate("earned what the others about their picture earned", remedy, example)
    if completion.finish_reason == "length":
        what = f"were cut off at rollout.max_tokens without a readable score ({answer.reason})"
        return _Fate(what, "a larger rollout.max_tokens", example)
    remedy = "a policy that answers policy.prompt in its format"
    return _Fate(f"have no readable score ({answer.reason})", remedy, example)
