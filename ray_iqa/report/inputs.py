"""What the folders on the command line hold: training logs, rollouts, predictions, results."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ray_iqa.errors import ConfigError, DataError
from ray_iqa.evaluation.differences import Difference
from ray_iqa.evaluation.measure import Measurement
from ray_iqa.evaluation.records import PREDICTIONS, RESULTS, PredictionRow, read_predictions
from ray_iqa.files import read_text
from ray_iqa.telemetry.json_lines import read_metrics

METRICS, ROLLOUTS = "metrics.jsonl", "rollouts"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingLog:
    """One job's curves: a row per step, None where a metric had no finite value."""

    name: str
    rows: tuple[dict[str, float | None], ...]
    rollouts: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInputs:
    """Everything a report is made of."""

    training: tuple[TrainingLog, ...]
    predictions: tuple[PredictionRow, ...]
    measurements: tuple[Measurement, ...]
    differences: tuple[Difference, ...]

    @property
    def models(self) -> list[str]:
        """Names in the order of the predictions."""
        return list(dict.fromkeys(row.model for row in self.predictions))

    @property
    def datasets(self) -> list[str]:
        """Names in the order of the predictions."""
        return list(dict.fromkeys(row.dataset for row in self.predictions))

    def rows_of(self, model: str, dataset: str) -> list[PredictionRow]:
        """One model's answers about one dataset."""
        return [row for row in self.predictions if row.model == model and row.dataset == dataset]


def read_inputs(folders: Sequence[Path]) -> ReportInputs:
    """Look in each folder and in the folders inside it.

    Where several evaluations are found, their models are told apart by the names of their runs.

    Raises:
        ConfigError: a name is no folder, or there is nothing to report on.
        DataError: a file is damaged.
    """
    homes = list(dict.fromkeys(home.resolve() for folder in folders for home in _homes(folder)))
    name_of = _names(homes)
    training = [_training(home, name_of[home]) for home in homes if (home / METRICS).is_file()]
    evaluations = [home for home in homes if (home / PREDICTIONS).is_file()]
    if not training and not evaluations:
        names = ", ".join(map(str, folders))
        raise ConfigError(
            f"a report needs a {METRICS} (written by ray-iqa train and fit-rali) or a {PREDICTIONS} (written by "
            f"ray-iqa eval) in the folders it is given or right below them, found neither in {names}"
        )
    predictions: list[PredictionRow] = []
    measurements: list[Measurement] = []
    differences: list[Difference] = []
    for home in evaluations:
        prefix = f"{name_of[home]}: " if len(evaluations) > 1 else ""
        predictions += [replace(row, model=prefix + row.model) for row in read_predictions(home)]
        measured, compared = _results(home / RESULTS)
        measurements += [replace(item, model=prefix + item.model) for item in measured]
        differences += [replace(item, first=prefix + item.first, second=prefix + item.second) for item in compared]
    training.sort(key=lambda log: log.rollouts is None)  # policies first, then what was taught by them
    return ReportInputs(
        training=tuple(training),
        predictions=tuple(predictions),
        measurements=tuple(measurements),
        differences=tuple(differences),
    )


def _homes(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"a report is made of folders, but {folder} is none")
    return [folder, *sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))]


def _training(home: Path, name: str) -> TrainingLog:
    rollouts = home / ROLLOUTS
    return TrainingLog(
        name=name, rows=tuple(read_metrics(home / METRICS)), rollouts=rollouts if rollouts.is_dir() else None
    )


def _results(file: Path) -> tuple[list[Measurement], list[Difference]]:
    """Of one evaluation; nothing where it has no results."""
    if not file.is_file():
        return [], []
    try:
        content = json.loads(read_text(file))
        measured = [Measurement(**row | {"mapping_parameters": ()}) for row in content["results"]]
        return measured, [Difference(**row) for row in content["differences"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is not what ray-iqa eval writes: {error!r}; evaluate again") from error


def _names(homes: Sequence[Path]) -> dict[Path, str]:
    """Each folder's name with that of the folder around it, for a run's own folders are all called the same.

    Where two folders still have one name, all have their whole path.
    """
    short = ["/".join(home.parts[-2:]) for home in homes]
    return dict(zip(homes, short if len(set(short)) == len(short) else map(str, homes), strict=True))
