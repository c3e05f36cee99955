import io
import math

from rich.console import Console

from ray_iqa.telemetry.live_view import PLAIN_EVERY_S, TREND_WIDTH, TerminalView, _trend

METRICS = {
    "reward/mean": 1.25,
    "reward/parse_rate": 0.984,
    "policy/kl": 0.00312,
    "time/rollout": 1.21,
    "time/step": 2.0,
    "throughput/tokens_per_s": 12345.6,
}
VALIDATED = METRICS | {"eval/koniq/srcc": 0.713, "eval/spaq/srcc": math.nan, "eval/srcc": 0.713}


def _console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, height=40, highlight=False)


def _written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_without_a_terminal_lines_are_plain_and_rare() -> None:
    console = _console(terminal=False)
    view = TerminalView("demo", 400, console)
    for step in range(1, 100):
        view.log(step, METRICS)
    view.close()
    assert PLAIN_EVERY_S > 1
    assert _written(console) == (
        "step   1/400  reward 1.250  parse rate 0.984  2.00 s/step   12,346 tokens/s  0:13:18 left\n"
    )


def test_the_validation_before_the_first_step_tells_no_pace() -> None:
    for terminal in (False, True):
        console = _console(terminal)
        view = TerminalView("demo", 4, console)
        view.log(0, {"eval/srcc": 0.5, "eval/koniq/srcc": 0.5})
        view.close()
        assert "0.500" in _written(console)
        assert "nan" not in _written(console)
        assert "left" not in _written(console)


def test_a_validated_step_and_the_last_one_always_get_their_line() -> None:
    console = _console(terminal=False)
    view = TerminalView("demo", 4, console)
    for step, metrics in enumerate([METRICS, METRICS, VALIDATED, METRICS], start=1):
        view.log(step, metrics)
    lines = _written(console).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["step 1/4", "step 3/4", "step 4/4"]
    assert "SRCC 0.713" in lines[1]
    assert "SRCC 0.713" in lines[2]  # the newest validation stays


def test_the_live_view_shows_the_newest_values() -> None:
    console = _console(terminal=True)
    view = TerminalView("demo", 400, console)
    view.log(1, METRICS)
    view.log(2, VALIDATED | {"reward/mean": 1.5})
    view.close()
    last = _written(console).rsplit("demo", 1)[1]
    for shown in ("step 2 of 400", "1.500", "0.984", "0.0031", "SRCC koniq", "0.713", "SRCC mean", "12,346 tokens/s"):
        assert shown in last
    assert "nan" not in last
    assert "gradient norm" not in last  # not measured, not shown


def test_trend_spans_its_own_range_in_bounded_width() -> None:
    assert _trend([0.0, 2.0, math.nan, 7.0]) == "▁▃█"
    assert _trend([1.0]) == ""
    assert _trend([2.0, 2.0]) == ""
    rising = _trend([float(i) for i in range(1000)])
    assert len(rising) == TREND_WIDTH
    assert list(rising) == sorted(rising)
