from pathlib import Path

import pytest

from ray_iqa.data.find_images import find_images
from ray_iqa.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPEG", "deep/er/c.tif", "notes.txt", "odd[1].png"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


def names(folder: Path, *patterns: str) -> list[str]:
    found = find_images([str(folder / pattern) for pattern in patterns])
    return [str(path.relative_to(folder)) for path in found]


def test_folders_are_searched_in_depth_and_sorted(folder: Path) -> None:
    assert names(folder, "") == ["a.JPEG", "b.png", "deep/er/c.tif", "odd[1].png"]


def test_patterns_files_and_order_each_once(folder: Path) -> None:
    assert names(folder, "b.png", "**/*.tif", "*") == ["b.png", "deep/er/c.tif", "a.JPEG", "odd[1].png"]


def test_a_named_file_is_taken_as_it_is(folder: Path) -> None:
    assert names(folder, "notes.txt", "missing.png", "odd[1].png") == ["notes.txt", "missing.png", "odd[1].png"]


@pytest.mark.parametrize("pattern", ["*.gif", "*.txt"])
def test_nothing_found_is_named(folder: Path, pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"must hold pictures .* found none"):
        names(folder, pattern)
