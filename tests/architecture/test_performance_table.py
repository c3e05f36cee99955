import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def table() -> object:
    spec = importlib.util.spec_from_file_location("table", ROOT / "benchmarks" / "table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_what_was_reported(table: object) -> None:
    page = table.PAGE.read_text()
    assert table.with_table(page, table.newest_reports()) == page


def test_make_bench_runs_whatever_reports_and_then_makes_the_table() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = makefile.partition("\nbench:")[2].partition("\n\n")[0]
    run = [part for part in recipe.split() if part.startswith("benchmarks/")]
    reporting = {
        f"benchmarks/{path.name}"
        for path in (ROOT / "benchmarks").glob("*.py")
        if "from table import report" in path.read_text()
    }
    assert reporting <= set(run)
    assert run[-1] == "benchmarks/table.py"


def test_the_newest_report_of_a_claim_counts_and_a_miss_is_bold(table: object, tmp_path: Path) -> None:
    rest = '"bar": ">= 4", "figures": "f", "commit": "c", "command": "python x", "machine": "m"'
    reports = tmp_path / "reports.jsonl"
    reports.write_text(f'{{"claim": "a", "ratio": 3.0, {rest}}}\n{{"claim": "a", "ratio": 5.0, {rest}}}\n')
    rows = table.newest_reports(reports)
    assert [row["ratio"] for row in rows] == [5.0]
    assert "| a | 5 | >= 4 | f | c | `python x` | m |" in table.table(rows)
    assert "| a | **3** |" in table.table([rows[0] | {"ratio": 3.0}])


@pytest.mark.parametrize(
    ("ratio", "bar", "met"), [(4, ">= 4", True), (6.1, "<= 6", False), (float("nan"), ">= 4", False)]
)
def test_a_bar_has_a_good_side(table: object, ratio: float, bar: str, met: bool) -> None:
    assert table.is_met(ratio, bar) is met
