"""A token bucket per key, in the memory of one ingress replica."""

import time
from collections import OrderedDict
from collections.abc import Callable

_MAX_KEYS = 10_000


class RateLimit:
    """Each key has ``burst`` tokens, refilled at ``per_second``; a request takes one.

    Args:
        per_second: tokens that come back per second.
        burst: most tokens a key can have.
        clock: seconds, never going back.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name -> (tokens, when)

    def wait_s(self, name: str) -> float:
        """Take a token: 0 when there was one, else the seconds until the next."""
        now = self._clock()
        tokens, when = self._buckets.pop(name, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - when) * self._per_second)
        allowed = tokens >= 1.0
        self._buckets[name] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > _MAX_KEYS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - tokens) / self._per_second
