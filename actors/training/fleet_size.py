"""How many rollout workers help: those that shorten a step noticeably."""

WORTH_ASKING = 0.05
"""A worker is asked for when it would shorten the step by at least this share ..."""
WORTH_KEEPING = 0.025
"""... and released when it shortens it by less than this one, ..."""
STEPS_TO_RELEASE = 3
"""... as measured over so many steps in a row."""


def helpful_workers(busy_s: float, rest_s: float, most: int, gain: float, *, overlapped: bool) -> int:
    """The largest fleet, up to ``most``, whose last worker shortens the step by at least the share ``gain``.

    Args:
        busy_s: Seconds of work of one step's sampling, over all workers; taken to divide evenly.
        rest_s: Seconds of everything else of the step.
        most: At least 1.
        gain: In (0, 1).
        overlapped: Sampling runs beside everything else instead of before it.
    """

    def step_s(workers: int) -> float:
        sampling_s = busy_s / workers
        return max(sampling_s, rest_s) if overlapped else sampling_s + rest_s

    workers = 1
    while workers < most and step_s(workers) - step_s(workers + 1) >= gain * step_s(workers) > 0.0:
        workers += 1
    return workers


class FleetSize:
    """How many workers to have, step after step; between ``fewest`` and ``most``."""

    def __init__(self, fewest: int, most: int, *, overlapped: bool) -> None:
        self._fewest, self._most, self._overlapped = fewest, most, overlapped
        self._wanted = fewest
        self._steps_with_surplus = 0

    def after_step(self, busy_s: float, rest_s: float) -> int:
        """Workers wanted, now that a step took this long; see `helpful_workers`."""
        asked, kept = (
            max(self._fewest, helpful_workers(busy_s, rest_s, self._most, gain, overlapped=self._overlapped))
            for gain in (WORTH_ASKING, WORTH_KEEPING)
        )
        self._steps_with_surplus = self._steps_with_surplus + 1 if kept < self._wanted else 0
        if asked > self._wanted:
            self._wanted = asked
        elif self._steps_with_surplus == STEPS_TO_RELEASE:
            self._wanted, self._steps_with_surplus = kept, 0
        return self._wanted
