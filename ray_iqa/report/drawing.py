"""How figures look: colours that colour-blind readers tell apart (Okabe and Ito 2008), with markers and dashes besides.

matplotlib is imported inside functions, so that this costs nothing to import; no global state of it is used.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from ray_iqa.files import whole_file

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
FAINT = "#767676"
HEAT = "cividis"
FORMATS = ("svg", "pdf", "png")
PANEL = (2.75, 2.1)  # inches
MAX_VECTOR_POINTS = 2000  # of a curve or cloud; beyond, points become pixels inside the vector figure
_STYLE = {
    "font.family": "DejaVu Sans",  # ships inside matplotlib
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "svg.fonttype": "path",  # the same letters everywhere
    "svg.hashsalt": "ray-iqa",  # the same bytes every time
    "pdf.fonttype": 42,  # text stays text
    "text.parse_math": False,  # a dollar in a name is a dollar
}
Axes = Any  # matplotlib.axes.Axes, which has no types here
Figure = Any  # matplotlib.figure.Figure


@contextmanager
def style() -> Iterator[None]:
    """Figures made and saved inside look alike."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        yield


def panels(count: int, columns: int = 3, size: tuple[float, float] = PANEL) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` axes in rows of ``columns``; ``size`` in inches, of one of them."""
    from matplotlib.figure import Figure as MatplotlibFigure

    columns = min(columns, count)
    rows = -(-count // columns)
    figure = MatplotlibFigure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
    return figure, axes


def look(number: int) -> dict[str, Any]:
    """Colour, marker and dashes of the ``number``-th line of an axes."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
    }


def legend_below(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend for all axes of a figure, where there is more than one line to tell apart."""
    handle_of: dict[str, Any] = {}  # label -> line
    for place in axes:
        handles, labels = place.get_legend_handles_labels()
        handle_of |= dict(zip(labels, handles, strict=True))
    if len(handle_of) > 1:
        figure.legend(handle_of.values(), handle_of.keys(), loc="outside lower center", ncols=min(4, len(handle_of)))


def save(figure: Figure, folder: Path, name: str) -> bytes:
    """Write the figure as ``<folder>/<name>.svg``, ``.pdf`` and ``.png``; the bytes of the SVG."""
    undated: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    written = {}
    for kind in FORMATS:
        buffer = BytesIO()
        figure.savefig(buffer, format=kind, metadata=undated[kind])
        written[kind] = buffer.getvalue()
        with whole_file(folder / f"{name}.{kind}") as partial:
            partial.write_bytes(written[kind])
        figure.set_layout_engine("none")  # the layout that the first one found holds for all
    return written["svg"]
