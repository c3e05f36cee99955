"""The terms of a reward: built-in ones by name, and functions of the user's by ``file.py:function``.

A term is called with all answers of a step to one question, for a rank reward of an image depends on the others.
"""

import importlib
import runpy
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_iqa.config.reward import RewardConfig, RewardTerm
from ray_iqa.data.label_maps import LabelRanges, labels_on_scale
from ray_iqa.errors import ConfigError, hint
from ray_iqa.rewards.alternatives import (
    binary_rewards,
    gaussian_difference_rewards,
    probability_average_rewards,
    threshold_rewards,
)
from ray_iqa.rewards.fidelity import fidelity_rewards
from ray_iqa.types import LabelledImage, Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardStep:
    """What a reward term is called with: the answers of a whole step to one question, K for each of B images.

    ``labels`` are on their datasets' own scales, higher is better: compare them only where ``comparable`` is True.
    """

    answers: Sequence[Sequence[str]]  # B times K texts without special tokens; "" where sampling was aborted
    num_tokens: NDArray[np.int64]  # [B, K]
    well_formed: NDArray[np.bool_]  # [B, K], whether the whole answer has the format asked for
    scores: NDArray[np.float64]  # [B, K], NaN where an answer has no readable score
    images: Sequence[LabelledImage]  # B
    labels: NDArray[np.float64]  # [B]
    comparable: NDArray[np.bool_]  # [B, B], False on the diagonal
    scale: Scale  # of the scores
    label_ranges: LabelRanges  # of the training datasets
    settings: RewardConfig

    def labels_on_scale(self) -> NDArray[np.float64]:
        """[B] labels mapped linearly from their dataset's range to ``scale``.

        Raises:
            ConfigError: a dataset's range is missing or empty.
        """
        return labels_on_scale(self.images, self.label_ranges, self.scale)


Term = Callable[[RewardStep], ArrayLike]
"""Step -> what each answer earns, [B, K]."""


def _floors(step: RewardStep) -> dict[str, float]:
    return {"variance_floor": step.settings.variance_floor, "fidelity_floor": step.settings.fidelity_floor}


def _fidelity(step: RewardStep) -> NDArray[np.float64]:
    return fidelity_rewards(step.scores, step.labels, step.comparable, **_floors(step))


def _binary(step: RewardStep) -> NDArray[np.float64]:
    return binary_rewards(step.scores, step.labels, step.comparable)


def _probability_average(step: RewardStep) -> NDArray[np.float64]:
    return probability_average_rewards(step.scores, step.labels, step.comparable, **_floors(step))


def _fixed_variance(step: RewardStep) -> NDArray[np.float64]:
    return probability_average_rewards(step.scores, step.labels, step.comparable, **_floors(step), score_variance=1.0)


def _gaussian_difference(step: RewardStep) -> NDArray[np.float64]:
    return gaussian_difference_rewards(step.scores, step.labels_on_scale(), step.comparable)


def _threshold(step: RewardStep) -> NDArray[np.float64]:
    return threshold_rewards(step.scores, step.labels_on_scale(), step.settings.threshold)


def _format(step: RewardStep) -> NDArray[np.bool_]:
    return step.well_formed


RANKING: Mapping[str, Term] = {
    "fidelity": _fidelity,
    "binary": _binary,
    "probability_average": _probability_average,
    "fixed_variance": _fixed_variance,
    "gaussian_difference": _gaussian_difference,
}
"""Compare images: they say nothing about one without opponent."""
_ALONE: Mapping[str, Term] = {"threshold": _threshold, "format": _format}
_NEED_RANGES = ("gaussian_difference", "threshold")


def load_terms(settings: RewardConfig, label_ranges: LabelRanges) -> list[tuple[RewardTerm, Term]]:
    """The functions of all terms; files are run, modules imported.

    Raises:
        ConfigError: there is none of a name, or it needs label ranges and there are none.
    """
    for term in settings.terms:
        if term.term in _NEED_RANGES and not label_ranges:
            raise ConfigError(f"the reward term {term.term} needs the label range of every training dataset, got none")
    return [(term, _load(term.term)) for term in settings.terms]


def source_of(term: RewardTerm) -> Path | None:
    """The file of a term of the user's; None for built-in ones and for packages without files."""
    place = term.term.rpartition(":")[0]
    if not place or place.endswith(".py"):
        return Path(place) if place else None
    return Path(found) if (found := getattr(importlib.import_module(place), "__file__", None)) else None


def earned(term: RewardTerm, function: Term, step: RewardStep) -> NDArray[np.float64]:
    """What ``function`` says, checked.

    Raises:
        ConfigError: it raised an error, or returned anything but a finite number for every answer.
    """
    try:
        values = np.asarray(function(step), dtype=np.float64)
    except ConfigError:
        raise
    except Exception as error:  # of the user's code
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{last.filename} line {last.lineno}"
        raise ConfigError(
            f"the reward term {term.term} ended with {type(error).__name__}: {error} ({place})"
        ) from error
    wanted = step.scores.shape
    if values.shape != wanted or not np.isfinite(values).all():
        found = f"shape {values.shape}" if values.shape != wanted else f"{values[~np.isfinite(values)][0]}"
        raise ConfigError(
            f"the reward term {term.term} must return a finite number for each of the {wanted[0]} x {wanted[1]} "
            f"answers, as an array of that shape, got {found}"
        )
    return values


def _load(name: str) -> Term:
    place, _, function = name.rpartition(":")
    built_in = {**RANKING, **_ALONE}
    if not place:
        if name not in built_in:
            raise ConfigError(
                f"a reward term must be file.py:function, package.module:function or one of {', '.join(built_in)}, "
                f"got {name!r}{hint(name, built_in)}"
            )
        return built_in[name]
    try:
        # A file is no module that other processes could import: so its function travels to them with its code.
        names: Mapping[str, Any] = (
            runpy.run_path(place) if place.endswith(".py") else vars(importlib.import_module(place))
        )
    except Exception as error:  # whatever the user's code raises
        raise ConfigError(f"the reward term {name} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(names.get(function)):
        raise ConfigError(f"the reward term {name} must be a function, {place} has none of that name")
    return names[function]
