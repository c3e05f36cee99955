"""Folders of generated samples, one per training step: are they getting better?

Pictures with the same name show the same prompt (and seed), so steps are compared prompt by prompt: the spread
between prompts, which is larger than most progress, cancels.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from ray_iqa.data.find_images import find_images
from ray_iqa.errors import ConfigError
from ray_iqa.path_text import path_text
from ray_iqa.statistics.means import PairedChange, mean_interval, paired_change
from ray_iqa.statistics.significance import holm

Scores = Mapping[str, float | None]
"""Prompt -> score, None where the picture failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress:
    """One step. Changes are over the prompts that both steps have; p-values are corrected over all steps (Holm)."""

    step: int
    n: int  # scored pictures
    n_failed: int
    mean: float  # NaN where no picture was scored
    interval: tuple[float, float]  # 95 %; NaN with too few pictures
    since_first: PairedChange | None  # None for the first step, and with fewer than two prompts in common
    since_previous: PairedChange | None


def step_folders(names: Sequence[str]) -> dict[int, Path]:
    """Step -> folder, in the order of steps; the step is the last number in the folder's name.

    Args:
        names: folders of pictures, or folders that hold one folder per step.

    Raises:
        ConfigError: a name is no folder or has no number, or two folders are of one step.
    """
    found: dict[int, Path] = {}
    for folder in (folder for name in names for folder in _expanded(Path(name))):
        numbers = re.findall(r"\d+", folder.resolve().name)
        if not numbers:
            raise ConfigError(f"a folder of samples must have its training step in its name, got {folder}")
        step = int(numbers[-1])
        if step in found:
            raise ConfigError(
                f"one folder per step is expected, but {found[step]} and {folder} are both of step {step}"
            )
        found[step] = folder
    return dict(sorted(found.items()))


def prompts(folder: Path) -> dict[str, Path]:
    """Prompt -> picture: its path inside the folder, without the suffix.

    Raises:
        ConfigError: this is no folder of pictures, or two of them differ by their suffix only.
    """
    if not folder.is_dir():
        raise ConfigError(f"samples must be in a folder, but {folder} is none")
    found: dict[str, Path] = {}
    for picture in find_images([str(folder)]):
        prompt = Path(picture).relative_to(path_text(folder)).with_suffix("").as_posix()
        if prompt in found:
            raise ConfigError(f"pictures are paired by name, but {found[prompt]} and {picture} have the same")
        found[prompt] = Path(picture)
    return found


def progress(scores_of: Mapping[int, Scores], *, seed: int = 0) -> list[StepProgress]:
    """Each step's mean and how it moved since the first step and since the one before.

    Args:
        scores_of: step -> scores, in the order of steps.
        seed: of the tests.

    Raises:
        ConfigError: no picture was scored.
    """
    steps = list(scores_of)
    if not any(score is not None for scores in scores_of.values() for score in scores.values()):
        raise ConfigError(f"no picture of the {len(steps)} steps can be scored")
    first = [None, *(change(scores_of[steps[0]], scores_of[step], seed=seed) for step in steps[1:])]
    previous = [None, *(change(scores_of[a], scores_of[b], seed=seed) for a, b in pairwise(steps))]
    return [
        _progress(step, scores_of[step], since_first, since_previous, seed)
        for step, since_first, since_previous in zip(steps, _corrected(first), _corrected(previous), strict=True)
    ]


def change(first: Scores, second: Scores, *, seed: int = 0) -> PairedChange | None:
    """Second minus first over the prompts that both scored; None with fewer than two of them."""
    pairs = [(first[prompt], score) for prompt, score in second.items() if score is not None and prompt in first]
    both = [(before, after) for before, after in pairs if before is not None]
    if len(both) < 2:
        return None
    return paired_change([before for before, _ in both], [after for _, after in both], seed=seed)


def _expanded(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"samples must be in folders, but {folder} is none")
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and re.search(r"\d", path.name))
    has_pictures = any(path.is_file() for path in folder.iterdir())
    return inner if inner and not has_pictures and not re.search(r"\d", folder.resolve().name) else [folder]


def _corrected(changes: Sequence[PairedChange | None]) -> list[PairedChange | None]:
    p_values = iter(holm([found.p_value for found in changes if found is not None]))
    return [None if found is None else replace(found, p_value=next(p_values)) for found in changes]


def _progress(
    step: int, scores: Scores, since_first: PairedChange | None, since_previous: PairedChange | None, seed: int
) -> StepProgress:
    values = [score for score in scores.values() if score is not None]
    return StepProgress(
        step=step,
        n=len(values),
        n_failed=len(scores) - len(values),
        mean=sum(values) / len(values) if values else math.nan,
        interval=mean_interval(values, seed=seed) if values else (math.nan, math.nan),
        since_first=since_first,
        since_previous=since_previous,
    )
