"""The three walks of docs/architecture.md: every function is there, and no walk comes back to a room that it left."""

import ast
import re
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIVIDED = ("backends", "rali")  # rooms of rooms
WALKS = {
    title: re.findall(r"^\| `([\w.]+)`", table, re.MULTILINE)
    for title, table in re.findall(
        r"^## (From .+)\n((?:.*\n)*?)(?=^## |^Why)", (ROOT / "docs/architecture.md").read_text(), re.M
    )
}


def module_of(name: str) -> tuple[Path, list[str]]:
    """The file that a dotted name leads to, and what is left of the name inside it."""
    parts = name.split(".") if name.startswith("actors.") else ["ray_iqa", *name.split(".")]
    for end in range(len(parts), 0, -1):
        file = ROOT.joinpath(*parts[:end]).with_suffix(".py")
        if file.is_file():
            return file, parts[end:]
    raise AssertionError(f"{name} is in no module")


def is_defined(file: Path, path: list[str]) -> bool:
    """Whether a function, class or method of that name is there."""
    scope: list[ast.stmt] = ast.parse(file.read_text()).body
    for name in path:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        found = [node for node in scope if isinstance(node, kinds) and node.name == name]
        if not found:
            return False
        scope = found[-1].body
    return True


def test_there_are_three_walks_of_functions_that_exist() -> None:
    assert len(WALKS) == 3
    for names in WALKS.values():
        assert len(names) > 5
        for name in names:
            assert is_defined(*module_of(name)), name


def test_no_walk_comes_back_to_a_room() -> None:
    for title, names in WALKS.items():
        parts = [name.removeprefix("actors.").split(".") for name in names]
        rooms = [room for room, _ in groupby(".".join(each[: 1 + (each[0] in DIVIDED)]) for each in parts)]
        assert len(rooms) == len(set(rooms)), (title, rooms)
