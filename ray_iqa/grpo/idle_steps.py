"""Steps that teach nothing: the first is a warning, several in a row end the run instead of a success."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from ray_iqa.errors import ConfigError, DivergedError
from ray_iqa.protocols import Learner
from ray_iqa.types import Answer, Completion, ParseFailure, Progress, RewardTable, RolloutGroup, TrainingBatch

logger = logging.getLogger(__name__)
MOST_IDLE_STEPS = 5
"""So many in a row end a run."""
_GO_BACK = (
    "resume with a lower learner.learning_rate and --change-learning, which continues from a checkpoint before the "
    "last update, or from the start"
)
_LONGEST_EXAMPLE = 120  # characters of an answer


class Idle(NamedTuple):
    """What kept a step from an update."""

    why: str  # the end of a sentence
    is_ruined: bool  # what the policy's updates made of it is of no use; an earlier version may be

    def error(self, what: str) -> ConfigError:
        """To raise about ``what``, the beginning of the sentence."""
        return (DivergedError if self.is_ruined else ConfigError)(f"{what}: {self.why}")


class IdleSteps:
    """Counts the steps in a row after which the policy was as before."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def note(self, step: int, idle: Idle | None, *, never_learned: bool = False) -> None:
        """Hear of a step.

        Args:
            step: its number.
            idle: what kept it from an update, None if it made one.
            never_learned: the run is at its end without a single update.

        Raises:
            ConfigError: it was the fifth without an update in a row, or the run never made one.
        """
        if idle is None:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row == MOST_IDLE_STEPS or never_learned:
            raise idle.error(f"{self._in_a_row} steps in a row taught the policy nothing, the last is {step}")
        if self._in_a_row == 1:
            logger.warning("step %d taught the policy nothing: %s", step, idle.why)


@contextmanager
def ruins_discarded(learner: Learner, progress: Progress) -> Iterator[None]:
    """Delete the checkpoints of the version at hand when it turns out to be ruined: nothing is learned from there."""
    try:
        yield
    except DivergedError:
        learner.discard(progress.policy_version)
        raise


def not_finite(policy_version: int) -> Idle:
    """Numbers of the policy, or gradients, are not finite after so many updates."""
    remedy = _GO_BACK if policy_version > 0 else "start anew, in another run_dir, with another policy.model"
    return Idle(f"the policy's loss or its gradients are not finite: {remedy}", is_ruined=policy_version > 0)


def why_idle(
    batch: TrainingBatch,
    groups: Sequence[RolloutGroup],
    table: RewardTable,
    read_answer: Callable[[str, str | None], Answer | ParseFailure],
    policy_version: int,
) -> Idle:
    """What kept a step from an update: what happened to most of its answers, with an example.

    Args:
        batch: what the learner was given.
        groups: B, as sampled.
        table: their rewards, fields [B, K].
        read_answer: the reward's parser.
        policy_version: updates so far.
    """
    if batch.groups:
        return not_finite(policy_version)
    fates = Counter(
        _fate(completion, read_answer(completion.text, group.image.question), group.problem, is_read=bool(is_read))
        for group, parsed in zip(groups, table.parsed, strict=True)
        for completion, is_read in zip(group.completions, parsed, strict=True)
    )
    by_remedy = Counter[str]()  # first, for reasons that quote the answers are all different
    for fate, count in fates.items():
        by_remedy[fate.remedy] += count
    [(remedy, count)] = by_remedy.most_common(1)
    fate = next(fate for fate, _ in fates.most_common() if fate.remedy == remedy)
    is_ruined = fate.is_unreadable and policy_version > 0
    advice = _GO_BACK if is_ruined else f"start anew, in another run_dir, with {remedy}"
    return Idle(f"{count} of {fates.total()} answers {fate.what}, for example {fate.example!r}; {advice}", is_ruined)


@dataclass(frozen=True)
class _Fate:
    """What became of an answer; ``example`` does not tell two of them apart."""

    what: str
    remedy: str
    example: str = field(compare=False)
    is_unreadable: bool = False


def _fate(completion: Completion, answer: Answer | ParseFailure, problem: str | None, *, is_read: bool) -> _Fate:
    example = (problem or completion.text)[:_LONGEST_EXAMPLE]
    if completion.finish_reason == "abort":
        return _Fate("were aborted", "pictures and engines that do not fail; the log names them", example)
    if is_read or isinstance(answer, Answer):
        remedy = "more rollout.num_completions, or a policy whose answers about one picture differ"
        return _Fate("earned what the others about their picture earned", remedy, example)
    if completion.finish_reason == "length":
        what = f"were cut off at rollout.max_tokens without a readable score ({answer.reason})"
        return _Fate(what, "a larger rollout.max_tokens", example, is_unreadable=True)
    remedy = "a policy that answers policy.prompt in its format"
    return _Fate(f"have no readable score ({answer.reason})", remedy, example, is_unreadable=True)
