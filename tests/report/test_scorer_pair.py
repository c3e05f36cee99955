"""Which two models are compared image by image."""

import pytest
from report_folders import prediction

from ray_iqa.errors import ConfigError
from ray_iqa.report.inputs import ReportInputs
from ray_iqa.report.scorer_pair import scorer_pair


def inputs(*models: str, reasoning: str = "") -> ReportInputs:
    rows = [
        prediction(model, number, float(number), reasoning="because" if model == reasoning else None)
        for model in models
        for number in range(3)
    ]
    return ReportInputs(training=(), predictions=tuple(rows), measurements=(), differences=())


@pytest.mark.parametrize(
    ("models", "reasoning", "expected"),
    [
        (("before", "after", "light"), "after", ("light", "after")),
        (("run/x: before", "run/x: after", "run/x: light"), "", ("run/x: after", "run/x: light")),
        (("untrained", "one", "two"), "untrained", ("one", "two")),
    ],
)
def test_untrained_models_are_left_out(models: tuple[str, ...], reasoning: str, expected: tuple[str, str]) -> None:
    pair = scorer_pair(inputs(*models, reasoning=reasoning))
    assert pair is not None
    assert pair.names == expected


def test_any_two_models_can_be_named() -> None:
    pair = scorer_pair(inputs("before", "after", "light"), ("light", "before"))
    assert pair is not None
    assert pair.names == ("light", "before")
    assert scorer_pair(inputs("before", "after")) is None
    with pytest.raises(ConfigError, match="no model 'lite'; it has before, after"):
        scorer_pair(inputs("before", "after"), ("lite", "after"))
