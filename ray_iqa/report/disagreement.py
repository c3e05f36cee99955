"""Where two scorers disagree most, with the pictures and what the reasoning one wrote."""

import numpy as np

from ray_iqa.evaluation.records import PredictionRow
from ray_iqa.report.drawing import COLOURS, FAINT, MAX_VECTOR_POINTS, panels
from ray_iqa.report.scorer_pair import MISSING, ScorerPair, percentiles
from ray_iqa.report.section import Card, Drawing, Picture, Section
from ray_iqa.report.thumbnails import thumbnail

NUM_SHOWN = 8
_LEAD = (
    "The images on which the two scorers' ranks are furthest apart. A rank is the share of the dataset's images that "
    "score lower, so scorers with different scales can be compared. Texts are the model's own words."
)


def disagreement_section(pair: ScorerPair | None, *, with_images: bool) -> Section:
    """Ranks of both against each other, and the largest gaps."""
    title = "Disagreement of two scorers"
    if pair is None:
        return Section(name="disagreement", title=title, lead="", missing=MISSING)
    ranks = percentiles(pair.first), percentiles(pair.second)
    gaps = np.abs(ranks[0] - ranks[1])
    furthest = np.argsort(-gaps, kind="stable")[:NUM_SHOWN]
    figure, (axes,) = panels(1, size=(3.6, 3.2))
    axes.plot([0, 100], [0, 100], color=FAINT, linewidth=0.6)
    axes.scatter(*ranks, s=5, alpha=0.45, linewidths=0, color=COLOURS[0], rasterized=len(gaps) > MAX_VECTOR_POINTS)
    for number, place in enumerate(furthest, start=1):
        axes.annotate(str(number), (ranks[0][place], ranks[1][place]), color=COLOURS[1], fontsize=7)
    axes.set(xlabel=f"rank by {pair.names[0]}, %", ylabel=f"rank by {pair.names[1]}, %")
    caption = f"Ranks of {len(gaps):,} images inside their datasets; numbers are the pictures below."
    cards = tuple(
        Card(
            title=f"{number}. {pair.first[place].dataset} / {pair.first[place].image_id}",
            pictures=(_picture(pair.first[place], pair.second[place], ranks[0][place], ranks[1][place], with_images),),
        )
        for number, place in enumerate(furthest, start=1)
    )
    drawing = Drawing(name="disagreement", caption=caption, figure=figure)
    return Section(name="disagreement", title=title, lead=_LEAD, drawings=(drawing,), cards=cards)


def _picture(
    first: PredictionRow, second: PredictionRow, first_rank: float, second_rank: float, with_image: bool
) -> Picture:
    return Picture(
        data_uri=thumbnail(first.image_path) if with_image else None,
        lines=(
            f"{first.model}: {first.score:.2f} (rank {first_rank:.0f} %)",
            f"{second.model}: {second.score:.2f} (rank {second_rank:.0f} %)",
            *label_lines(first),
        ),
        text=second.reasoning or first.reasoning,
    )


def label_lines(row: PredictionRow) -> tuple[str, ...]:
    """What is known about an image, for a caption."""
    label = () if row.mos is None else (f"MOS {row.mos:.4g} ({row.direction} is better)",)
    made = () if not row.distortion else (f"{row.distortion}{'' if not row.level else f', level {row.level}'}",)
    return (*label, *made)
