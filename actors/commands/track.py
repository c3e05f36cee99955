"""`ray-iqa track`: quality of generated samples over training steps, by the light scorer; needs no Ray."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from actors.commands.score import ScoreRow, score_files, write_scores
from actors.exit_codes import SOME_FAILED
from ray_iqa.evaluation.tracking import Scores, StepProgress, progress, prompts, step_folders
from ray_iqa.files import writable_folder
from ray_iqa.statistics.jackknife import scarcity
from ray_iqa.statistics.means import PairedChange
from ray_iqa.tables import text_table, with_interval
from ray_iqa.telemetry.curves import Curves
from ray_iqa.telemetry.event_file import summaries

_HEADER = ("step", "pictures", "failed", "mean [95 %]", "since first [95 %]", "p", "since previous [95 %]", "p")


def run(names: Sequence[str], model: str, out: str, device: str, seed: int) -> int:
    """Score all folders, print a line per step, write curves; the exit code.

    Args:
        names: a folder of samples per step, or one that holds such folders.
        model: folder of an artifact.
        out: folder for ``scores.csv``, ``metrics.jsonl`` and ``tensorboard/``.
        device: as torch spells it.
        seed: of intervals and tests.

    Raises:
        ConfigError, DataError: a folder or the model cannot be used.
        OutputError: ``out`` cannot be written; nothing has been scored then.
    """
    writable_folder(out)
    summaries()  # imported now: what is not installed must not be found out after the work
    pictures = {step: prompts(folder) for step, folder in step_folders(names).items()}
    rows = score_files([path for own in pictures.values() for path in own.values()], model, device)
    write_scores(Path(out) / "scores.csv", rows)  # with the reasons, if there is no progress to tell
    steps = progress(_scores(pictures, rows), seed=seed)
    curves = Curves(Path(out), 0)
    for step in steps:
        curves.log(step.step, _figures(step))
    curves.close()
    sys.stdout.write(f"{text_table(_HEADER, [_line(step) for step in steps], num_labels=0)}\n")
    sys.stdout.write("Changes are paired by prompt; p-values are corrected over the steps (Holm).\n")
    remark = scarcity(min(step.n for step in steps), "pictures")
    sys.stdout.write(f"{remark}\n" if remark else "")
    sys.stdout.write(f"Curves: tensorboard --logdir {out}\n")
    return SOME_FAILED if any(step.n_failed for step in steps) else 0


def _scores(pictures: Mapping[int, Mapping[str, Path]], rows: Sequence[ScoreRow]) -> dict[int, Scores]:
    found = iter(rows)
    return {step: {prompt: next(found)["score"] for prompt in own} for step, own in pictures.items()}


def _figures(step: StepProgress) -> dict[str, float]:
    figures = {"score/mean": step.mean, "score/low": step.interval[0], "score/high": step.interval[1]}
    for name, found in (("since_first", step.since_first), ("since_previous", step.since_previous)):
        if found is not None:
            low, high = found.interval
            figures |= {f"{name}/mean": found.mean, f"{name}/low": low, f"{name}/high": high}
            figures |= {f"{name}/p_value": found.p_value, f"{name}/pairs": float(found.n)}
    return figures | {"pictures/scored": float(step.n), "pictures/failed": float(step.n_failed)}


def _line(step: StepProgress) -> tuple[str, ...]:
    mean = with_interval(step.mean, *step.interval, ".3f") if step.n else "-"
    return (
        str(step.step),
        f"{step.n:,}",
        f"{step.n_failed:,}",
        mean,
        *_cells(step.since_first),
        *_cells(step.since_previous),
    )


def _cells(found: PairedChange | None) -> tuple[str, str]:
    if found is None:
        return "-", "-"
    return with_interval(found.mean, *found.interval, "+.3f"), f"{found.p_value:.3g}"
