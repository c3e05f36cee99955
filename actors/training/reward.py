"""The one reward actor: rewards of a step are a function of all its groups together."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial

import ray
from ray.exceptions import GetTimeoutError

from actors.cluster.processes import (
    LOST_ACTOR,
    ProcessPlace,
    announce_process,
    end_hung_processes,
    last_line,
    own_errors,
)
from ray_iqa.answers.prompt import Prompt
from ray_iqa.config.reward import RewardConfig
from ray_iqa.data.label_maps import LabelRanges
from ray_iqa.errors import ResourceError
from ray_iqa.rewards.scorer import GroupRewardScorer
from ray_iqa.rewards.terms import load_terms
from ray_iqa.types import RewardTable, RolloutGroup

logger = logging.getLogger(__name__)
MAX_ATTEMPTS = 4
START_S = 600.0  # of a process on a machine that may be busy


class RewardWorker(GroupRewardScorer):
    """`GroupRewardScorer` in a process of its own."""

    def enter(self) -> ProcessPlace:
        """Where this process runs."""
        return announce_process()


RewardActor = ray.remote(RewardWorker)


class RemoteRewardScorer:
    """`protocols.RewardScorer` on the reward actor, which has no state: one that died or hangs is replaced."""

    def __init__(
        self,
        config: RewardConfig,
        prompts: Mapping[str | None, Prompt],
        label_ranges: LabelRanges,
        deadline_s: float = 600.0,
    ) -> None:
        """``deadline_s`` limits each call once the actor runs; a thousand images take well under a second."""
        self._launch = partial(
            RewardActor.options(num_cpus=0).remote, config, prompts, label_ranges, load_terms(config, label_ranges)
        )
        self._deadline_s = deadline_s
        self._start()

    def score(self, groups: Sequence[RolloutGroup]) -> RewardTable:
        """See `protocols.RewardScorer.score`.

        Raises:
            ConfigError: a term of the user's fails.
            ResourceError: the actor was lost several times in a row.
        """
        shared = ray.put(groups)
        for _ in range(MAX_ATTEMPTS):
            try:
                ray.get(self._entered, timeout=START_S)
                with own_errors():
                    return ray.get(self._actor.score.remote(shared), timeout=self._deadline_s)
            except (*LOST_ACTOR, GetTimeoutError) as error:
                self._replace(error)
        raise ResourceError(f"the reward actor was lost {MAX_ATTEMPTS} times in a row, over {len(groups)} images")

    def close(self) -> None:
        """Stop the actor."""
        ray.kill(self._actor)

    def _start(self) -> None:
        self._actor = self._launch()
        self._entered = self._actor.enter.remote()

    def _replace(self, error: Exception) -> None:
        places, _ = ray.wait([self._entered], timeout=0)
        if isinstance(error, GetTimeoutError) and places:
            [report] = end_hung_processes([ray.get(self._entered)])
            logger.error("the reward actor did not answer within %.0f s, %s", self._deadline_s, report)
        else:
            logger.warning("the reward actor is replaced: %s", last_line(error))
        ray.kill(self._actor)
        self._start()
