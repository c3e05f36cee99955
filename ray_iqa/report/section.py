"""What a page is made of. Every text here is shown as text: the template escapes all of it."""

from dataclasses import dataclass
from typing import Any

from ray_iqa.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One figure; ``name`` is also that of its files."""

    name: str
    caption: str
    figure: Any  # matplotlib.figure.Figure, which has no types here


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One thumbnail and what is said about it."""

    data_uri: str | None  # None where the file cannot be shown
    lines: tuple[str, ...]
    text: str | None = None  # what a model wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Pictures that are looked at together."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One chapter; ``missing`` says what to run where there is nothing to show."""

    name: str  # of its anchor
    title: str
    lead: str
    drawings: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()
    cards: tuple[Card, ...] = ()
    missing: str | None = None
