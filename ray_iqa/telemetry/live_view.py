"""How a training run goes, for who watches its terminal."""

import itertools
import math
import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table

from ray_iqa.telemetry.terminal import say

CURVES = (
    ("reward", "reward/mean"),
    ("fidelity", "reward/fidelity"),
    ("format", "reward/format"),
    ("parse rate", "reward/parse_rate"),
    ("score std", "group/score_std"),
    ("KL", "policy/kl"),
    ("entropy", "policy/entropy"),
    ("gradient norm", "policy/grad_norm"),
    ("length", "completion/length_mean"),
)
PHASES = ("rollout", "reward", "learn", "publish", "evaluate")
PLAIN_EVERY_S = 10.0
TREND_WIDTH = 32


class TerminalView:
    """A live view that stays in place; one plain line every few seconds where output is no terminal.

    Args:
        title: Name of the run.
        num_steps: Where the run ends.
        console: Where to write; standard output by default.
    """

    def __init__(self, title: str, num_steps: int, console: Console | None = None) -> None:
        self._title, self._num_steps = title, num_steps
        self._console = console or Console(highlight=False)
        self._history: dict[str, list[float]] = {}
        self._newest: dict[str, float] = {}
        self._logged_at: list[tuple[int, float]] = []  # (step, time) of the first and the newest step
        self._last_plain = -math.inf
        self._live: Live | None = None

    def resume(self, step: int) -> None:
        """Say that all is there and which step, of those before, is the last one done."""
        say(f"resumed after step {step} of {self._num_steps}" if step else f"ready: {self._num_steps} steps to do")

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Show one step; values not in ``metrics`` keep what was shown last."""
        for name, value in metrics.items():
            self._history.setdefault(name, []).append(value)
        self._newest = self._newest | metrics  # a new dict: the live view's thread may be reading the old one
        self._logged_at = [*self._logged_at[:1], (step, time.monotonic())]
        if self._console.is_terminal:
            self._refresh()
        else:
            self._print_line(step, "eval/srcc" in metrics or step == self._num_steps)

    def close(self) -> None:
        """Leave the last view standing."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _refresh(self) -> None:
        if self._live is None:
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=2)
            self._live.start()
        self._live.refresh()

    def _print_line(self, step: int, always: bool) -> None:
        now = time.monotonic()
        if not always and now - self._last_plain < PLAIN_EVERY_S:
            return
        self._last_plain = now
        shown = [*CURVES[:4], ("SRCC", "eval/srcc")]
        values = [f"{label} {_number(self._newest[name]).strip()}" for label, name in shown if name in self._newest]
        line = [f"step {step:>{len(str(self._num_steps))}}/{self._num_steps}", *values, self._speed(), self._left()]
        self._console.print("  ".join(filter(None, line)), soft_wrap=True, markup=False)

    def _render(self) -> RenderableType:
        parts = [self._progress(), self._curves(CURVES), self._curves(self._validation()), self._seconds()]
        return Group(*(Padding(part, (1, 2, 0, 2)) for part in parts), "")

    def _progress(self) -> RenderableType:
        step = self._logged_at[-1][0]
        row = Table.grid(padding=(0, 2), expand=True)
        row.add_column(style="bold", no_wrap=True)
        row.add_column(ratio=1)
        row.add_column(justify="right", no_wrap=True)
        bar = ProgressBar(total=self._num_steps, completed=step, complete_style="cyan", finished_style="green")
        row.add_row(self._title, bar, f"step {step} of {self._num_steps}  [dim]{self._left()}[/]")
        return row

    def _curves(self, curves: tuple[tuple[str, str], ...]) -> RenderableType:
        rows = Table.grid(padding=(0, 3))
        rows.add_column(style="dim", min_width=14, no_wrap=True)
        rows.add_column(justify="right", min_width=9, no_wrap=True)
        rows.add_column(style="cyan", no_wrap=True)
        for label, name in curves:
            if name in self._newest:
                rows.add_row(label, _number(self._newest[name]), _trend(self._history[name]))
        return rows

    def _validation(self) -> tuple[tuple[str, str], ...]:
        split = [(name, name.split("/")) for name in sorted(self._newest)]
        datasets = [(f"SRCC {parts[1]}", name) for name, parts in split if len(parts) == 3 and parts[2] == "srcc"]
        return (*datasets, ("SRCC mean", "eval/srcc"))

    def _seconds(self) -> str:
        timed = [(phase, self._newest.get(f"time/{phase}")) for phase in PHASES]
        phases = [f"[dim]{phase}[/] {seconds:.2f} s" for phase, seconds in timed if seconds is not None]
        return "   ".join(phases) + f"\n[bold]{self._speed()}[/]"

    def _speed(self) -> str:
        if "time/step" not in self._newest:  # the start has no pace
            return ""
        speed = f"{self._newest['time/step']:.2f} s/step"
        tokens = self._newest.get("throughput/tokens_per_s")
        return speed if tokens is None else f"{speed}   {tokens:,.0f} tokens/s"

    def _left(self) -> str:
        if "time/step" not in self._newest:
            return ""
        (first, start), (step, end) = self._logged_at[0], self._logged_at[-1]
        seconds_per_step = (end - start) / (step - first) if step > first else self._newest["time/step"]
        seconds = max(0, round((self._num_steps - step) * seconds_per_step - (time.monotonic() - end)))
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours}:{minutes:02d}:{seconds % 60:02d} left"


def _number(value: float) -> str:
    """About three digits, padded so that decimal points of right-aligned numbers meet."""
    if not math.isfinite(value):
        return "-    "
    digits = 4 if abs(value) < 0.1 else 3 if abs(value) < 10 else 1
    return f"{value:,.{digits}f}".ljust(len(f"{value:,.0f}") + 5)


def _trend(values: list[float]) -> str:
    """The whole history in ``TREND_WIDTH`` characters at most, scaled to its own range."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2 or min(finite) == max(finite):
        return ""
    width = min(TREND_WIDTH, len(finite))
    edges = [round(i * len(finite) / width) for i in range(width + 1)]
    means = [sum(finite[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, span = min(means), max(means) - min(means)
    return "".join("▁▂▃▄▅▆▇█"[round(7 * (mean - low) / span)] if span else "▄" for mean in means)
