"""Wall time of steps and of their phases."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class StepClock:
    """Measures steps, one lap each: ``with clock("rollout"): ...``, then ``clock.lap()``.

    A lap begins where the one before ended, so nothing between two laps is lost: what a step does after its row
    is made (logging it, the checkpoint) counts to the next.
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._phases: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Add the block's wall time to ``phase``, also when the block raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._phases[phase] = self._phases.get(phase, 0.0) + time.perf_counter() - start

    def lap(self) -> dict[str, float]:
        """``time/<phase>`` for every phase of this lap, and ``time/step``, the whole lap; seconds. Begins the next."""
        now = time.perf_counter()
        seconds = {f"time/{phase}": phase_s for phase, phase_s in self._phases.items()} | {
            "time/step": now - self._start
        }
        self._phases, self._start = {}, now
        return seconds
