"""How far a scorer's answer moves under changes that should not matter: mirror, a gentle re-encode, a resize."""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ray_iqa.data.images import load_image, picture_or_reason
from ray_iqa.errors import DataError
from ray_iqa.evaluation.records import PredictionRow
from ray_iqa.report.drawing import COLOURS, FAINT, panels
from ray_iqa.report.section import Drawing, Section
from ray_iqa.statistics.correlation import srcc
from ray_iqa.tables import Table

Score = Callable[[Sequence[Image.Image]], Sequence[float | None]]
"""Decoded pictures -> a score each, None where one failed."""
NUM_SAMPLED = 96
_FEWEST = 3
_LEAD = (
    "Change of the score of {model} on {count} pictures when they are mirrored, re-encoded at high quality, reduced or "
    "enlarged. A reduced picture has lost detail, so a small fall is no error; a mirrored one has lost nothing."
)
_WITHOUT_SCORER = "Needs a light scorer to ask: add --model FOLDER (written by ray-iqa fit-rali or convert-rali)."
_WITHOUT_PICTURES = "None of the pictures named in the predictions can be read here: run the report where they are."
_WITHOUT_PREDICTIONS = "Needs pictures: run ray-iqa eval, then give its output folder too."
_HEADER = ("change", "mean", "mean of absolute", "95 % stay below", "SRCC with unchanged", "pictures")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerAtHand:
    """A scorer that can be asked now."""

    name: str
    score: Score


def invariance_section(rows: Sequence[PredictionRow], scorer: ScorerAtHand | None) -> Section:
    """Each change on a sample of the pictures in ``rows``, the same sample every time."""
    title = "Invariance"
    if scorer is None or not rows:
        missing = _WITHOUT_SCORER if scorer is None else _WITHOUT_PREDICTIONS
        return Section(name="invariance", title=title, lead="", missing=missing)
    answers, unreadable = _answers(scorer, [row.image_path for row in rows])
    before, moved = answers[:, 0], dict(zip(CHANGES, answers.T[1:], strict=True))
    if np.isfinite(before).sum() < _FEWEST:
        return Section(name="invariance", title=title, lead="", missing=_WITHOUT_PICTURES)
    table = Table(
        title="Score after the change minus score before",
        header=_HEADER,
        rows=tuple(_row(name, before, after) for name, after in moved.items()),
    )
    figure, (axes,) = panels(1, size=(5.2, 2.2))
    finite = [(after - before)[np.isfinite(after - before)] for after in moved.values()]
    axes.boxplot(
        finite,
        orientation="horizontal",
        widths=0.5,
        flierprops={"markersize": 2},
        medianprops={"color": COLOURS[1]},
    )
    axes.set_yticks(range(1, len(moved) + 1), list(moved))
    axes.invert_yaxis()
    axes.axvline(0, color=FAINT, linewidth=0.6)
    axes.set_xlabel("change of the score")
    drawing = Drawing(name="invariance", caption="Change of the score; boxes hold half of the pictures.", figure=figure)
    lead = _LEAD.format(model=scorer.name, count=len(answers))
    if unreadable:
        lead += f" {len(unreadable)} more could not be read, the first: {unreadable[0]}"
    return Section(name="invariance", title=title, lead=lead, drawings=(drawing,), tables=(table,))


def _answers(scorer: ScorerAtHand, paths: Sequence[str]) -> tuple[NDArray[np.float64], list[str]]:
    """Scores of the first pictures by hash of their path, and why others of them cannot be read.

    Of n readable pictures [n, 1 + changes], unchanged and after each change; NaN where there is none. One picture is in
    memory at a time.
    """
    scores, unreadable = [], []
    for path in sorted(set(paths), key=lambda path: hashlib.sha256(path.encode()).digest())[:NUM_SAMPLED]:
        picture = picture_or_reason(path)
        if isinstance(picture, str):
            unreadable.append(picture)
            continue
        changed = [picture, *(_changed(picture, change) for change in CHANGES.values())]
        found = iter(scorer.score([each for each in changed if each is not None]))
        scores.append([np.nan if each is None or (score := next(found)) is None else score for each in changed])
    return np.array(scores, dtype=np.float64).reshape(-1, 1 + len(CHANGES)), unreadable


def _changed(picture: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image | None:
    """None where there is no such picture: WebP, for one, has no side above 16,383 pixels."""
    try:
        return change(picture)
    except (DataError, OSError, ValueError, MemoryError):
        return None


def _row(name: str, before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[str, ...]:
    both = np.isfinite(before) & np.isfinite(after)
    change = (after - before)[both]
    if len(change) < _FEWEST:
        return name, "-", "-", "-", "-", str(len(change))
    return (
        name,
        f"{change.mean():+.3f}",
        f"{np.abs(change).mean():.3f}",
        f"{np.percentile(np.abs(change), 95):.3f}",
        f"{srcc(before[both], after[both]):.3f}",
        str(len(change)),
    )


def _encoded(picture: Image.Image, kind: str) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=95)
    return load_image(buffer.getvalue())


def _resized(picture: Image.Image, factor: float) -> Image.Image:
    size = max(1, round(factor * picture.width)), max(1, round(factor * picture.height))
    return picture.resize(size, Image.Resampling.LANCZOS)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": ImageOps.mirror,
    "JPEG, quality 95": lambda picture: _encoded(picture, "JPEG"),
    "WebP, quality 95": lambda picture: _encoded(picture, "WEBP"),
    "reduced to 75 %": lambda picture: _resized(picture, 0.75),
    "enlarged to 150 %": lambda picture: _resized(picture, 1.5),
}
