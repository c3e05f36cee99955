"""One table, four ways to write it: for the terminal, Markdown, LaTeX and spreadsheets."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": "--", "^": r"\^{}"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells as they are printed; a column is aligned left when it is among the first ``num_labels``, else right."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    num_labels: int = 1


def formatted(value: float | None, style: str) -> str:
    """The value in a format such as ``+.3f``; a dash where there is none."""
    return "-" if value is None or math.isnan(value) else format(value, style)


def with_interval(value: float | None, low: float | None, high: float | None, style: str) -> str:
    """``0.912 [0.874, 0.938]``, or the value alone where it has no interval."""
    ends = formatted(low, style), formatted(high, style)
    return formatted(value, style) + ("" if "-" in ends else f" [{', '.join(ends)}]")


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], num_labels: int = 1) -> str:
    """Aligned columns for a terminal, nothing cut off."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for index, title in enumerate(header):
        table.add_column(title, justify="left" if index < num_labels or not title else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(file=io.StringIO(), width=1000, color_system=None, force_terminal=False, markup=False)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines() if line.strip())


def to_text(table: Table) -> str:
    """Title, table and notes, for a terminal."""
    return "\n".join([table.title, text_table(table.header, table.rows, table.num_labels), *table.notes]) + "\n"


def to_markdown(table: Table) -> str:
    """A pipe table under a heading."""
    rule = ["---" if index < table.num_labels else "---:" for index in range(len(table.header))]
    lines = [[cell.replace("|", "\\|") for cell in row] for row in (table.header, rule, *table.rows)]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([f"## {table.title}", body, *table.notes]) + "\n"


def to_latex(table: Table) -> str:
    """A table for the package booktabs."""
    columns = "l" * table.num_labels + "r" * (len(table.header) - table.num_labels)
    lines = [" & ".join(cell.translate(_LATEX) for cell in row) + r" \\" for row in (table.header, *table.rows)]
    notes = " ".join(note.translate(_LATEX) for note in table.notes)
    caption = f"{table.title.translate(_LATEX)}. {notes}".strip()
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def to_csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Values as they are, None as nothing."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
