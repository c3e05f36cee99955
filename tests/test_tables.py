import csv

from ray_iqa.tables import Table, text_table, to_csv, to_latex, to_markdown, to_text

TABLE = Table(
    title="Agreement of A_1",
    header=("model", "dataset", "SRCC"),
    rows=(("a|b", "50 % & more", "+.912"), ("c", "x", "-")),
    notes=("Cost: 5$.",),
    num_labels=2,
)


def test_columns_line_up_in_a_terminal() -> None:
    title, header, _rule, first, second, note = to_text(TABLE).splitlines()
    assert (title, note) == ("Agreement of A_1", "Cost: 5$.")
    assert header.index("dataset") == first.index("50 %") == second.index("x")
    assert header.rindex("C") == first.rindex("2") == second.rindex("-")


def test_wide_tables_are_not_cut() -> None:
    assert "z" * 300 in text_table(["a", "b"], [["x", "z" * 300]])


def test_markdown_escapes_bars() -> None:
    assert "| a\\|b | 50 % & more | +.912 |" in to_markdown(TABLE)
    assert "| --- | --- | ---: |" in to_markdown(TABLE)


def test_latex_escapes_what_latex_reads() -> None:
    text = to_latex(TABLE)
    assert r"a|b & 50 \% \& more & +.912 \\" in text
    assert r"\caption{Agreement of A\_1. Cost: 5\$.}" in text
    assert r"\begin{tabular}{llr}" in text


def test_csv_keeps_values() -> None:
    text = to_csv(["a", "b"], [["x, y", 0.1], [None, 2]])
    assert list(csv.reader(text.splitlines())) == [["a", "b"], ["x, y", "0.1"], ["", "2"]]
