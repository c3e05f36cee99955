"""Files, functions and classes stay small enough to be read in one go; measured in source lines."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("ray_iqa/**/*.py"), *ROOT.glob("actors/**/*.py"), ROOT / "serve_app.py"])
OTHERS = sorted([*ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/**/*.py")])
MAX_FILE, MAX_FUNCTION, MAX_CLASS, MAX_MEDIAN = 300, 60, 200, 100
# Docstrings apart. More is a decision, so this number changes with its reason in a commit.
MAX_STATEMENTS = 16_000
DUMPING_GROUNDS = {"utils", "helpers", "common", "misc"}


def _num_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def _definitions(path: Path) -> Iterator[tuple[str, int, int]]:
    """(name, lines, budget) of every function and class; decorators belong to neither."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            assert node.end_lineno is not None
            budget = MAX_CLASS if isinstance(node, ast.ClassDef) else MAX_FUNCTION
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1, budget


def test_the_whole_source_is_looked_at() -> None:
    assert len(FILES) > 30


def test_no_file_is_too_long() -> None:
    assert {str(path.relative_to(ROOT)): n for path in (*FILES, *OTHERS) if (n := _num_lines(path)) > MAX_FILE} == {}


def test_the_median_file_is_short() -> None:
    assert median(n for path in FILES if (n := _num_lines(path)) > 1) <= MAX_MEDIAN


def test_no_function_or_class_is_too_long() -> None:
    found = {name: lines for path in (*FILES, *OTHERS) for name, lines, budget in _definitions(path) if lines > budget}
    assert found == {}


def test_the_source_grows_by_decision_only() -> None:
    statements = [
        node for path in FILES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.stmt)
    ]
    texts = [node for node in statements if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    assert len(statements) - sum(isinstance(node.value.value, str) for node in texts) <= MAX_STATEMENTS


@pytest.mark.parametrize("top", ["ray_iqa", "actors", "tests", "benchmarks"])
def test_no_file_is_a_dumping_ground(top: str) -> None:
    assert [path for path in ROOT.glob(f"{top}/**/*.py") if path.stem in DUMPING_GROUNDS] == []


def test_no_two_test_files_have_one_name() -> None:
    """pytest could not collect the second one."""
    names = [path.name for path in OTHERS if path.name != "conftest.py"]
    assert {name for name in names if names.count(name) > 1} <= {"__init__.py"}
