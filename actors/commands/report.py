"""`ray-iqa report`: run directories and evaluations -> one HTML page, in this process; needs no Ray."""

import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ray_iqa.report.invariance import ScorerAtHand
from ray_iqa.report.page import write_report


def run(
    folders: Sequence[str],
    out: str | None,
    model: str | None,
    device: str,
    pair: Sequence[str] | None,
    *,
    with_images: bool,
) -> int:
    """Write the page and say where it is; the exit code.

    Args:
        folders: run directories and evaluation folders.
        out: HTML file; ``report.html`` in the first folder when None.
        model: folder of a light scorer to ask about changed pictures.
        device: of that scorer, as torch spells it.
        pair: names of the two models that are compared image by image.
        with_images: whether pictures go into the page.

    Raises:
        ConfigError, DataError: a folder or a file in it cannot be used.
    """
    homes = [Path(folder) for folder in folders]
    page = homes[0] / "report.html" if out is None else Path(out)
    scorer = None if model is None else light_scorer(model, device)
    named = None if pair is None else (pair[0], pair[1])
    figures = write_report(homes, page, scorer=scorer, pair=named, with_images=with_images)
    sys.stdout.write(f"Report:  {page.absolute()}\nFigures: {figures.absolute()}\n")
    return 0


def light_scorer(folder: str, device: str = "cpu") -> ScorerAtHand:
    """The scorer in ``folder``, ready to be asked."""
    from ray_iqa.rali.scorer import RaliScorer

    scorer = RaliScorer.load(folder, device)

    def score(pictures: Sequence[Image.Image]) -> list[float | None]:
        return [found.value for found in scorer.score(pictures)]

    return ScorerAtHand(name="/".join(Path(folder).resolve().parts[-2:]), score=score)
