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
    return [str(Path(path).relative_to(folder)) for path in found]


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


def test_linked_folders_are_followed_once(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "far.png").touch()
    (elsewhere / "back").symlink_to(folder)
    (folder / "link").symlink_to(elsewhere)
    (folder / "same").symlink_to(elsewhere)
    (folder / "zurich").symlink_to(folder / "deep")
    (folder / "round").symlink_to(folder)
    expected = ["a.JPEG", "b.png", "deep/er/c.tif", "link/far.png", "odd[1].png"]
    assert names(folder, "") == expected
    assert sorted(names(folder, "**/*")) == expected


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "avif", "heic", "jxl", "jp2", "ppm"])
def test_files_of_other_formats_are_counted_in_folders(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a.{suffix.upper()}").touch()
    assert names(tmp_path, "") == [f"a.{suffix.upper()}"]


def test_urls_are_listed_or_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "b.txt").touch()
    assert find_images([f"file://{tmp_path}"]) == [f"file://{tmp_path}/a.png"]
    assert find_images([f"file://{tmp_path}/*.png"]) == [f"file://{tmp_path}/a.png"]
    assert find_images(["s3://nowhere/b.png"]) == ["s3://nowhere/b.png"]
