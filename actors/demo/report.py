"""What the demonstration leaves for people: every prediction about the test pictures, the numbers, one page."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from actors.commands.report import light_scorer
from ray_iqa import __version__
from ray_iqa.answers.prompt import Prompt
from ray_iqa.answers.verdict import Verdict, verdict_of_group
from ray_iqa.data.labelled_sets import LabelledSet, read_labelled_sets
from ray_iqa.evaluation.differences import corrected, difference
from ray_iqa.evaluation.measure import measure
from ray_iqa.evaluation.records import PredictionRow, prediction_rows, read_predictions, write_predictions
from ray_iqa.evaluation.result_files import write_results
from ray_iqa.evaluation.tables import differences_table, results_table
from ray_iqa.report.page import write_report
from ray_iqa.types import LabelledImage, RolloutGroup

EVALUATION, PAGE = "evaluation", "report.html"
POLICY, RALI = "policy", "RALI"


def keep_answers(home: Path, manifests: Sequence[Path], groups: Sequence[RolloutGroup], prompt: Prompt) -> None:
    """Write the policy's predictions about the test pictures, for `leave_report` of this process or a later one."""
    found = [verdict_of_group(group, prompt) for group in groups]
    rows = _rows(POLICY, _test_sets(manifests), [group.image for group in groups], found)
    write_predictions(home / EVALUATION, [row for own in rows for row in own])


def leave_report(
    home: Path,
    manifests: Sequence[Path],
    scorer: Path,
    images: Sequence[LabelledImage],
    predictions: Sequence[Verdict],
    seconds: Mapping[str, float],
) -> Path:
    """Complete the evaluation with the light scorer's predictions, and write the page about the whole folder.

    Args:
        home: folder of the demonstration, in which `keep_answers` has been called.
        manifests: with the test pictures.
        scorer: the light scorer's folder.
        images: test pictures.
        predictions: of the light scorer, in the order of ``images``.
        seconds: per image, of each of the two models.

    Returns:
        The page.
    """
    sets = _test_sets(manifests)
    kept = [row for row in read_predictions(home / EVALUATION) if row.model == POLICY]
    taught = [[replace(row, seconds=seconds[POLICY]) for row in kept if row.dataset == each.dataset] for each in sets]
    light = [[replace(row, seconds=seconds[RALI]) for row in own] for own in _rows(RALI, sets, images, predictions)]
    write_predictions(home / EVALUATION, [row for own in (*taught, *light) for row in own])
    _write_numbers(home / EVALUATION, taught, light)
    write_report([home], home / PAGE, scorer=light_scorer(str(scorer)))
    return home / PAGE


def _write_numbers(folder: Path, taught: Sequence[list[PredictionRow]], light: Sequence[list[PredictionRow]]) -> None:
    pairs = list(zip(taught, light, strict=True))
    measurements = [
        measure(rows, decoding, seed=0)
        for own in pairs
        for rows, decoding in zip(own, ("mean of the sampled answers", "one pass"), strict=True)
    ]
    differences = corrected([difference(first, second, seed=0) for first, second in pairs])
    tables = [results_table(measurements, ()), differences_table(differences)]
    write_results(folder, measurements, differences, tables, {"version": f"ray_iqa {__version__}", "command": "demo"})


def _test_sets(manifests: Sequence[Path]) -> list[LabelledSet]:
    return read_labelled_sets([f"{manifest}@test" for manifest in manifests])


def _rows(
    model: str, sets: Sequence[LabelledSet], images: Sequence[LabelledImage], found: Sequence[Verdict]
) -> list[list[PredictionRow]]:
    by_image = {(image.dataset, image.image_id): each for image, each in zip(images, found, strict=True)}
    return [prediction_rows(model, each, [by_image[row.dataset, row.image_id] for row in each.rows]) for each in sets]
