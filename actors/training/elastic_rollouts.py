"""Lets the number of rollout workers follow what shortens a step."""

import time

from actors.training.fleet_size import FleetSize
from actors.training.rollout_pool import RolloutPool
from ray_iqa.protocols import RolloutSource
from ray_iqa.types import RolloutGroup


class ElasticRollouts:
    """`protocols.RolloutSource` that times each step and resizes the pool; what is sampled stays the same."""

    def __init__(self, source: RolloutSource, pool: RolloutPool, size: FleetSize) -> None:
        self._source, self._pool, self._size = source, pool, size
        self._returned: float | None = None

    def batch_for(self, step: int) -> list[RolloutGroup]:
        """See `protocols.RolloutSource.batch_for`."""
        asked = time.perf_counter()
        groups = self._source.batch_for(step)
        if self._returned is not None:
            self._pool.resize(self._size.after_step(self._pool.busy_s, asked - self._returned))
        self._returned = time.perf_counter()
        return groups
