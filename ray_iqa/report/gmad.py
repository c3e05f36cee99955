"""Pairs that set two scorers against each other: gMAD (Ma et al., TPAMI 2020) on images that are scored already.

The defender finds two images equally good; the attacker, among all such pairs, picks the one it finds most unequal.
Who looks at the pair sees which of the two is wrong. Departure: images come from one dataset at a time, so that its
labels, where there are some, can take the part of the viewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ray_iqa.evaluation.records import PredictionRow
from ray_iqa.report.disagreement import label_lines
from ray_iqa.report.scorer_pair import MISSING, ScorerPair
from ray_iqa.report.section import Card, Picture, Section
from ray_iqa.report.thumbnails import thumbnail
from ray_iqa.tables import Table

LEVELS = {"low": 1 / 6, "medium": 1 / 2, "high": 5 / 6}  # places among the defender's scores
SHARE = 0.1  # of a dataset's images around a place count as equally good to the defender
_FEWEST = 30  # images of a dataset, below which a tenth of them says nothing
_LEAD = (
    "In each pair the defender finds both images equally good (they lie within the same tenth of its scores) and "
    "the attacker finds them as different as it can. If you see the difference, the defender is wrong; if not, the "
    "attacker is."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversarialPair:
    """One pair, the attacker's better image first; rows are the defender's and the attacker's on the same images."""

    level: str
    defender: tuple[PredictionRow, PredictionRow]
    attacker: tuple[PredictionRow, PredictionRow]

    @property
    def labels_side_with_attacker(self) -> bool | None:
        """Whether the attacker's better image has the better label; None without labels or where they are equal."""
        better, worse = self.attacker
        if better.mos is None or worse.mos is None or better.mos == worse.mos or better.scene_id != worse.scene_id:
            return None
        return (better.mos > worse.mos) == (better.direction == "higher")


def adversarial_pairs(defender: Sequence[PredictionRow], attacker: Sequence[PredictionRow]) -> list[AdversarialPair]:
    """One pair per dataset and level.

    Args:
        defender: rows of one model.
        attacker: rows of another one for the same images in the same order, all scored.
    """
    pairs = []
    for dataset in dict.fromkeys(row.dataset for row in defender):
        places = [place for place, row in enumerate(defender) if row.dataset == dataset]
        if len(places) < _FEWEST:
            continue
        places.sort(key=lambda place: (_score(defender[place]), place))
        width = max(2, round(SHARE * len(places)))
        for level, at in LEVELS.items():
            start = min(max(0, round(at * len(places) - width / 2)), len(places) - width)
            equal = sorted(places[start : start + width], key=lambda place: _score(attacker[place]))
            worst, best = equal[0], equal[-1]
            pairs.append(
                AdversarialPair(
                    level=level,
                    defender=(defender[best], defender[worst]),
                    attacker=(attacker[best], attacker[worst]),
                )
            )
    return pairs


def gmad_section(pair: ScorerPair | None, *, with_images: bool) -> Section:
    """Both scorers as defender, and a count of what the labels say."""
    title = "gMAD: pairs that set two scorers against each other"
    if pair is None:
        return Section(name="gmad", title=title, lead="", missing=MISSING)
    rounds = [adversarial_pairs(pair.first, pair.second), adversarial_pairs(pair.second, pair.first)]
    if not any(rounds):
        missing = f"gMAD needs at least {_FEWEST} images of a dataset that both models scored; evaluate on more images."
        return Section(name="gmad", title=title, lead="", missing=missing)
    cards = tuple(_card(found, with_images) for pairs in rounds for found in pairs)
    header = ("defender", "attacker", "pairs", "labels side with attacker", "mean gap of the attacker's scores")
    table = Table(
        title="Who is right, by the labels",
        header=header,
        rows=tuple(_row(pairs) for pairs in rounds if pairs),
        num_labels=2,
    )
    return Section(name="gmad", title=title, lead=_LEAD, tables=(table,), cards=cards)


def _row(pairs: Sequence[AdversarialPair]) -> tuple[str, ...]:
    judged = [found.labels_side_with_attacker for found in pairs]
    known = [verdict for verdict in judged if verdict is not None]
    gap = np.mean([_score(found.attacker[0]) - _score(found.attacker[1]) for found in pairs])
    sides = f"{sum(known)} of {len(known)}" if known else "no labels"
    return pairs[0].defender[0].model, pairs[0].attacker[0].model, str(len(pairs)), sides, f"{gap:.2f}"


def _card(found: AdversarialPair, with_images: bool) -> Card:
    verdict = {True: "labels side with the attacker", False: "labels side with the defender", None: "no labels to ask"}
    defender, attacker = found.defender[0].model, found.attacker[0].model
    title = f"{found.defender[0].dataset}, {found.level}: {attacker} attacks {defender}"
    pictures = tuple(
        Picture(
            data_uri=thumbnail(held.image_path) if with_images else None,
            lines=(
                f"{word} to {attacker}: {_score(attacked):.2f}",
                f"{defender}: {_score(held):.2f}",
                *label_lines(held),
            ),
        )
        for word, held, attacked in zip(("better", "worse"), found.defender, found.attacker, strict=True)
    )
    return Card(title=f"{title}; {verdict[found.labels_side_with_attacker]}", pictures=pictures)


def _score(row: PredictionRow) -> float:
    assert row.score is not None, "a pair of scorers holds scored images only"
    return row.score
