"""Which two scorers a page compares image by image, and what both of them said."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from ray_iqa.errors import ConfigError
from ray_iqa.evaluation.records import PredictionRow
from ray_iqa.report.inputs import ReportInputs

_UNTRAINED = ("before", "untrained")
MISSING = (
    "Two models that scored the same images are needed: run ray-iqa eval with a light scorer and a policy "
    "(two --model), then give its output folder."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerPair:
    """Two scorers on the images that both of them scored, in one order."""

    first: tuple[PredictionRow, ...]
    second: tuple[PredictionRow, ...]

    @property
    def names(self) -> tuple[str, str]:
        """Of the two models."""
        return self.first[0].model, self.second[0].model


def scorer_pair(inputs: ReportInputs, names: tuple[str, str] | None = None) -> ScorerPair | None:
    """The two models named; by default the first that gave no reasons and the first that did, else the first two.

    Models called ``before`` or ``untrained`` are compared only where they are named.

    Raises:
        ConfigError: a name is none of the models'.
    """
    for name in names or ():
        if name not in inputs.models:
            raise ConfigError(f"the page has no model {name!r}; it has {', '.join(inputs.models)}")
    models = [model for model in inputs.models if model.rpartition(": ")[2] not in _UNTRAINED]
    reasoning = [model for model in models if any(row.model == model and row.reasoning for row in inputs.predictions)]
    silent = [model for model in models if model not in reasoning]
    chosen = names or ([silent[0], reasoning[0]] if silent and reasoning else models[:2])
    if len(set(chosen)) < 2:
        return None
    scored = [
        {(row.dataset, row.image_id): row for row in inputs.predictions if row.model == model and row.score is not None}
        for model in chosen
    ]
    both = [key for key in scored[0] if key in scored[1]]
    if not both:
        return None
    return ScorerPair(first=tuple(scored[0][key] for key in both), second=tuple(scored[1][key] for key in both))


def percentiles(rows: Sequence[PredictionRow]) -> np.ndarray:
    """Rank of each score among those of its own dataset, 0 (worst) to 100; scales of two scorers need not agree."""
    result = np.empty(len(rows))
    datasets = np.array([row.dataset for row in rows])
    scores = np.array([row.score for row in rows], dtype=np.float64)
    for dataset in set(datasets.tolist()):
        own = datasets == dataset
        result[own] = 100 * (rankdata(scores[own]) - 0.5) / own.sum()
    return result
