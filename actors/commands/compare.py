"""`ray-iqa compare A/ B/`: is B worse than A? For the gates of continuous integration.

Two folders of pictures are compared by the light scorer, picture by picture; two evaluation folders by the SRCC of
their models on the same images.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from actors.commands.score import score_files
from ray_iqa.errors import ConfigError
from ray_iqa.evaluation.differences import Difference, corrected, difference
from ray_iqa.evaluation.records import PREDICTIONS, PredictionRow, read_predictions
from ray_iqa.evaluation.tracking import Scores, prompts
from ray_iqa.statistics.jackknife import scarcity
from ray_iqa.statistics.means import mean_interval, paired_change
from ray_iqa.tables import with_interval

NOT_WORSE, MISSING_PAIRS, WORSE = 0, 3, 4
"""Exit codes, beside 1 (failed) and 2 (wrong usage)."""
ALPHA = 0.05
FEWEST_PAIRS = 6  # with fewer, no order of the scores is unlikely enough to be told from chance at ALPHA


def run(before: str, after: str, model: str, device: str, tolerance: float, seed: int) -> int:
    """Compare and say the verdict; the exit code.

    Args:
        before: folder A.
        after: folder B, of the same kind.
        model: folder of an artifact, for pictures.
        device: as torch spells it.
        tolerance: loss that does not count: score points for pictures, SRCC for evaluations.
        seed: of intervals and tests.

    Raises:
        ConfigError, DataError: a folder cannot be used, or there is too little to compare.
    """
    if tolerance < 0:
        raise ConfigError(f"--tolerance must be at least 0, got {tolerance:g}")
    homes = Path(before), Path(after)
    evaluations = [(home / PREDICTIONS).is_file() for home in homes]
    if any(evaluations):
        if not all(evaluations):
            raise ConfigError(
                f"A and B must be of one kind, but only {homes[evaluations.index(True)]} is an evaluation"
            )
        return _compare_evaluations(*homes, tolerance, seed)
    pictures = [prompts(home) for home in homes]
    rows = score_files([path for own in pictures for path in own.values()], model, device)
    for row in rows:
        if row["reason"] is not None:
            _say(f"failed\t{row['path']}\t{row['reason']}")
    found = iter(rows)
    scores = [{prompt: next(found)["score"] for prompt in own} for own in pictures]
    return compare_pictures(scores[0], scores[1], tolerance, seed)


def compare_pictures(before: Scores, after: Scores, tolerance: float, seed: int) -> int:
    """B is worse when its scores, with ``tolerance`` added, are lower by a paired sign-flip test at 5 %.

    Raises:
        ConfigError: fewer pairs than a test needs.
    """
    both = [
        (score, other)
        for prompt, score in before.items()
        if score is not None and (other := after.get(prompt)) is not None
    ]
    if len(both) < FEWEST_PAIRS:
        raise ConfigError(
            f"a comparison needs at least {FEWEST_PAIRS} pictures of the same name in A and B that can be scored, "
            f"found {len(both)} among {len(before)} and {len(after)}"
        )
    first, second = np.array(both).T
    change = paired_change(first, second, seed=seed)
    tested = paired_change(first, second + tolerance, seed=seed)
    for name, scores in (("A", first), ("B", second)):
        _say(f"{name}:     mean {with_interval(float(scores.mean()), *mean_interval(scores, seed=seed), '.3f')}")
    found = with_interval(change.mean, *change.interval, "+.3f")
    _say(f"B - A: {found}, p {change.p_value:.3g}, {change.n:,} pairs. {scarcity(change.n, 'pairs')}".rstrip())
    if tested.mean < 0 and tested.p_value < ALPHA:
        _say(f"B is worse than A{_beyond(tolerance)}.")
        return WORSE
    unpaired = len(before.keys() | after.keys()) - len(both)
    _say(f"B is not worse than A{_beyond(tolerance)}, as far as these pairs show.")
    if unpaired:
        _say(f"{unpaired} names are in one folder only or have a picture that could not be scored.")
    return MISSING_PAIRS if unpaired else NOT_WORSE


def _compare_evaluations(before: Path, after: Path, tolerance: float, seed: int) -> int:
    """B is worse where its loss of SRCC exceeds ``tolerance`` by a paired test over contents at 5 %, corrected (Holm).

    The correction is over all models and datasets, so that a gate over many of them does not close by chance.
    """
    rows = read_predictions(before), read_predictions(after)
    pairs = _aligned(*rows)
    found = corrected([difference(second, first, seed, tolerance) for first, second in pairs])
    for item in found:
        _say(_sentence(item))
    lost = [item for item in found if item.srcc_difference is not None and item.srcc_difference < -tolerance]
    worse = [item for item in lost if item.p_holm is not None and item.p_holm < ALPHA]
    unanswered = [item for item in found if item.p_value is None]
    if worse:
        _say(f"B is worse than A{_beyond(tolerance)} on {', '.join(item.dataset for item in worse)}.")
        return WORSE
    _say(f"B is not worse than A{_beyond(tolerance)}, as far as these images show.")
    models = {side[0].model for pair in pairs for side in pair}
    compared = [row for side in rows for row in side if row.model in models]
    unpaired = len(compared) - 2 * sum(len(first) for first, _ in pairs)
    if unpaired:
        _say(f"{unpaired} images of these models are in one evaluation only.")
    return MISSING_PAIRS if unanswered or unpaired else NOT_WORSE


def _aligned(
    before: Sequence[PredictionRow], after: Sequence[PredictionRow]
) -> list[tuple[list[PredictionRow], list[PredictionRow]]]:
    """Rows of both about the same images, per model and dataset; one model each may have two names."""
    old, new = {row.model for row in before}, {row.model for row in after}
    single = len(old) == len(new) == 1
    groups: dict[tuple[str, str], dict[str, PredictionRow]] = {}
    for row in before:
        groups.setdefault(("" if single else row.model, row.dataset), {})[row.image_id] = row
    pairs: dict[tuple[str, str], list[tuple[PredictionRow, PredictionRow]]] = {}
    for row in after:
        key = "" if single else row.model, row.dataset
        partner = groups.get(key, {}).get(row.image_id)
        if partner is not None:
            pairs.setdefault(key, []).append((partner, row))
    if not pairs:
        raise ConfigError(
            "two evaluations need images and, where they hold several models, names of models in common; "
            f"A has {', '.join(sorted(old))}, B has {', '.join(sorted(new))}"
        )
    return [([first for first, _ in own], [second for _, second in own]) for own in pairs.values()]


def _sentence(item: Difference) -> str:
    names = item.first if item.first == item.second else f"{item.first} against {item.second}"
    if item.srcc_difference is None:
        return f"{item.dataset}: {names}: {item.note}"
    change = with_interval(item.srcc_difference, item.srcc_low, item.srcc_high, "+.3f")
    tested = "no test" if item.p_holm is None else f"p {item.p_holm:.3g} (Holm)"
    drawn = f"{item.n:,} images of {item.num_contents:,} contents"
    return f"{item.dataset}: {names}: SRCC {change}, {tested}, {drawn}. {item.note}".rstrip()


def _beyond(tolerance: float) -> str:
    return f" by more than {tolerance:g}" if tolerance else ""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
