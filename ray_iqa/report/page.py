"""Sections -> one HTML file that needs nothing else, and the figures as files beside it."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ray_iqa import __version__
from ray_iqa.files import writable_file, writable_folder, write_text
from ray_iqa.report.cost import cost_section
from ray_iqa.report.disagreement import disagreement_section
from ray_iqa.report.drawing import save, style
from ray_iqa.report.gmad import gmad_section
from ray_iqa.report.inputs import ReportInputs, read_inputs
from ray_iqa.report.invariance import ScorerAtHand, invariance_section
from ray_iqa.report.monotonicity import monotonicity_section
from ray_iqa.report.prediction_plots import prediction_section
from ray_iqa.report.result_tables import result_section
from ray_iqa.report.score_histograms import histogram_section
from ray_iqa.report.scorer_pair import ScorerPair, scorer_pair
from ray_iqa.report.section import Section
from ray_iqa.report.training_curves import training_section

_TEMPLATE = "page.html"


def write_report(
    folders: Sequence[Path],
    out: Path,
    *,
    scorer: ScorerAtHand | None = None,
    pair: tuple[str, str] | None = None,
    with_images: bool = True,
) -> Path:
    """Write the page about all folders to ``out`` and its figures to ``<stem>_figures`` beside it.

    Args:
        folders: run directories and evaluation folders.
        out: HTML file; its folder is made where missing.
        scorer: asked about changed pictures in the section on invariance.
        pair: names of the two models that are compared image by image; None leaves the choice to `scorer_pair`.
        with_images: False leaves all pictures out, for data sets whose licence wants that.

    Returns:
        The folder of the figures: svg, pdf and png of each.

    Raises:
        ConfigError: a folder is none, there is nothing to report on, or no model has a name of ``pair``.
        DataError: a file in them is damaged.
        OutputError: ``out`` or the figures cannot be written.
    """
    inputs = read_inputs(folders)
    compared = scorer_pair(inputs, pair)
    figures = writable_folder(writable_file(out).with_name(f"{out.stem}_figures"))
    with style():
        sections = report_sections(inputs, scorer, compared, with_images=with_images)
        images = {
            drawing.name: _data_uri(save(drawing.figure, figures, drawing.name))
            for section in sections
            for drawing in section.drawings
        }
    names = ", ".join(folder.resolve().name for folder in folders)
    page = render(f"Image quality report: {names}", _about(inputs), sections, images)
    write_text(out, page)
    return figures


def report_sections(
    inputs: ReportInputs, scorer: ScorerAtHand | None, pair: ScorerPair | None, *, with_images: bool
) -> list[Section]:
    """All chapters in the order of the page; those without data say what to run."""
    return [
        result_section(inputs.measurements, inputs.differences),
        prediction_section(inputs),
        cost_section(inputs),
        training_section(inputs.training),
        histogram_section(inputs.training),
        monotonicity_section(inputs),
        invariance_section(inputs.predictions, scorer),
        disagreement_section(pair, with_images=with_images),
        gmad_section(pair, with_images=with_images),
    ]


def render(title: str, about: str, sections: Sequence[Section], images: dict[str, str]) -> str:
    """The page; every text is escaped, and the page's own policy forbids scripts and anything from elsewhere."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    footer = f"Written by ray-iqa {__version__} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    return environment.get_template(_TEMPLATE).render(
        title=title, about=about, sections=sections, images=images, footer=footer
    )


def _about(inputs: ReportInputs) -> str:
    counts = (
        (len(inputs.training), "training log"),
        (len(inputs.models), "model"),
        (len(inputs.datasets), "dataset"),
        (len(inputs.predictions), "prediction"),
    )
    return ", ".join(f"{count:,} {name}{'' if count == 1 else 's'}" for count, name in counts) + "."


def _data_uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
