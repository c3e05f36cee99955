"""`data check` on small copies with one thing wrong at a time."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ray_iqa.data.checks.check import check_rows
from ray_iqa.data.rows import Direction, ManifestRow

Change = Callable[[ManifestRow], ManifestRow]


def kadid(num_references: int = 81) -> list[ManifestRow]:
    """Labels as complete as KADID-10k's: 30 votes an image, quality falls with the level."""
    rng = np.random.default_rng(4)
    rows = []
    for reference in range(1, num_references + 1):
        for kind in range(1, 26):
            for level in range(1, 6):
                votes = np.clip(np.rint(rng.normal(5.2 - 0.8 * level, 0.6, size=30)), 1, 5)
                name = f"I{reference:02d}_{kind:02d}_{level:02d}.png"
                rows.append(
                    ManifestRow(
                        dataset="kadid10k",
                        image_id=name,
                        path=f"/data/{name}",
                        ref_id=f"I{reference:02d}",
                        distortion=str(kind),
                        level=level,
                        mos=round(float(votes.mean()), 2),
                        mos_std=round(float(votes.std()), 3),
                        direction="higher",
                        scale_min=1,
                        scale_max=5,
                        split="test" if reference % 5 == 0 else "train",
                    )
                )
    return rows


def errors(rows: list[ManifestRow], **options: bool) -> list[str]:
    findings = check_rows(rows, **({"open_images": False} | options))
    return [f"{finding.check}: {finding.message}" for finding in findings if finding.severity == "error"]


def test_a_complete_dataset_has_nothing_to_report() -> None:
    assert check_rows(kadid(), open_images=False) == []


@pytest.mark.parametrize(
    ("dataset", "change", "sentence"),
    [
        ("kadid10k", lambda row: replace(row, direction="lower"), "direction: called DMOS, but a MOS"),
        ("mine", lambda row: replace(row, direction="lower"), r"direction: quality rises with the level .*\+0\.9"),
        ("mine", lambda row: replace(row, mos=6 - row.mos), "direction: quality rises with the level"),
        (
            "kadid10k",
            lambda row: replace(row, mos_std=row.mos_std**2),
            r"spread: \d+% of mos_std are smaller than whole",
        ),
        ("mine", lambda row: replace(row, mos_std=25 * row.mos_std**2), r"spread: .* exceed half the range 1 to 5"),
        ("mine", lambda row: replace(row, split=f"split{row.level}"), r"leakage: 81 contents .* I01 in split1 and"),
        (
            "mine",
            lambda row: replace(row, ref_id=None, scene_id=row.ref_id, split=f"split{row.level}"),
            "leakage: 81 contents are in several splits, e.g. I01 in split1 and",
        ),
        ("kadid10k", lambda row: replace(row, mos=20 * row.mos, scale_max=100), "labels: .* outside the scale 1 to 5"),
        ("mine", lambda row: replace(row, mos=3.0), "labels: all 10,125 labels are 3.0"),
        ("sriqa-bench", lambda row: row, "labels: labels are comparable inside a scene only"),
    ],
)
def test_what_is_wrong_is_found(dataset: str, change: Change, sentence: str) -> None:
    rows = [change(replace(row, dataset=dataset)) for row in kadid()]
    assert any(re.match(sentence, message) for message in errors(rows, complete=False))


@pytest.mark.parametrize(("rows", "how"), [(kadid()[:-7], "10,118, 7 fewer"), (kadid(82)[: 10_125 + 7], "7 more")])
def test_a_row_count_off_by_seven(rows: list[ManifestRow], how: str) -> None:
    (message,) = [text for text in errors(rows) if text.startswith("count")]
    assert message.startswith("count: KADID-10k has 10,125 images, got ")
    assert message.endswith(how)
    assert not [text for text in errors(rows, complete=False) if text.startswith("count")]


def test_labels_scaled_inside_each_scene_are_recognised() -> None:
    rows = [
        ManifestRow(dataset="sr", image_id=f"{scene}-{k}", path="x", ref_id=str(scene), mos=mos, direction="higher")
        for scene in range(8)
        for k, mos in enumerate((0, 10 * scene + 5, 100))
    ]
    warnings = [finding.message for finding in check_rows(rows, open_images=False) if finding.severity == "warning"]
    assert any("scaled inside each scene" in message for message in warnings)
    (finding,) = check_rows([replace(row, scene_id=row.ref_id) for row in rows], open_images=False)
    assert finding.severity == "note"


def test_spread_in_units_of_another_scale_is_a_warning() -> None:
    rows = [replace(row, mos=25 * (row.mos - 1), scale_min=0, scale_max=100, dataset="mine") for row in kadid(10)]
    (finding,) = check_rows(rows, open_images=False)
    assert (finding.severity, finding.check) == ("warning", "spread")


def pictures(folder: Path) -> list[ManifestRow]:
    """Six contents, each sharp and blurred four times; labels follow the blur, no levels are told."""
    rng = np.random.default_rng(0)
    rows = []
    for content in range(6):
        coarse = Image.fromarray(rng.integers(0, 255, size=(6, 6, 3), dtype=np.uint8))
        sharp = coarse.resize((96, 96), Image.Resampling.BICUBIC)
        for step in range(5):
            path = folder / f"{content}_{step}.png"
            sharp.filter(ImageFilter.GaussianBlur(1.2 * step)).save(path)
            rows.append(
                ManifestRow(
                    dataset="mine",
                    image_id=path.name,
                    path=str(path),
                    ref_id=str(content),
                    mos=5 - step + 0.05 * content,
                    direction="higher",
                    split="test" if content == 0 else "train",
                )
            )
    return rows


def test_sound_pictures_have_nothing_to_report_but_a_direction_that_shows_nowhere(tmp_path: Path) -> None:
    (finding,) = check_rows(pictures(tmp_path))
    assert (finding.severity, finding.check) == ("note", "direction")


def test_urls_are_looked_at_as_paths_are(tmp_path: Path) -> None:
    rows = [replace(row, path=f"file://{row.path}") for row in pictures(tmp_path)]
    assert [finding.check for finding in check_rows(rows)] == ["direction"]
    Path(rows[3].path.removeprefix("file://")).write_bytes(b"no image")
    [finding] = [finding for finding in check_rows(rows) if finding.check == "files"]
    assert finding.message.startswith(f"1 of 30 images are broken, the first: {rows[3].path}")


def test_missing_broken_and_identical_files(tmp_path: Path) -> None:
    rows = pictures(tmp_path)
    Path(rows[3].path).unlink()
    Path(rows[4].path).write_bytes(b"no image")
    Path(rows[11].path).write_bytes(Path(rows[10].path).read_bytes())
    found = [(finding.severity, finding.message) for finding in check_rows(rows) if finding.check == "files"]
    assert found == [
        ("error", f"1 of 30 images are missing, the first is {rows[3].path}"),
        ("error", f"1 of 30 images are broken, the first: {rows[4].path}: {found[1][1].split(': ', 2)[2]}"),
        ("warning", f"1 files are there more than once, e.g. {rows[10].path} and {rows[11].path}"),
    ]


def test_a_wrong_direction_shows_in_the_pixels_without_levels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for row in pictures(tmp_path)[::5]:  # the sharp ones
        sharp = np.asarray(Image.open(row.path), dtype=np.float64)
        for step in range(1, 6):
            blurred = np.asarray(Image.fromarray(sharp.astype(np.uint8)).filter(ImageFilter.GaussianBlur(2 * step)))
            noisy, darker = sharp + rng.normal(0, 12 * step, sharp.shape), sharp * (1 - 0.1 * step)
            for kind, pixels in enumerate((blurred, noisy, darker)):
                path = tmp_path / f"{row.ref_id}_{kind}_{step}.png"
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
                rows.append(replace(row, image_id=path.name, path=str(path), mos=6 - step + 0.05 * int(row.ref_id)))
    assert check_rows(rows) == []
    (message,) = errors([replace(row, direction="lower") for row in rows], open_images=True)
    assert message.startswith("direction: quality rises with the pixel distance")


def photographs() -> Iterator[NDArray[np.uint8]]:
    """Squares of photographs and textures that ship with scikit-image, grey."""
    for name in ("astronaut", "camera", "coffee", "chelsea", "brick", "gravel"):
        grey = np.asarray(Image.fromarray(getattr(skimage.data, name)()).convert("L"))
        yield grey[60:260, 60:260]


def versions(folder: Path, make: Callable[[NDArray[np.uint8], int], tuple[Image.Image, float]]) -> list[ManifestRow]:
    """Six versions of each photograph with their labels, no levels."""
    rows = []
    for content, photograph in enumerate(photographs()):
        for number in range(6):
            path = folder / f"{content}_{number}.png"
            picture, mos = make(photograph, number)
            picture.save(path)
            row = ManifestRow(
                dataset="mine", image_id=path.name, path=str(path), ref_id=str(content), mos=mos, direction="higher"
            )
            rows.append(row)
    return rows


def of_several_kinds(photograph: NDArray[np.uint8], number: int) -> tuple[Image.Image, float]:
    picture = Image.fromarray(photograph)
    if number in (1, 2):
        picture = picture.filter(ImageFilter.GaussianBlur(1.5 * number))
    if number in (3, 4):
        noise = np.random.default_rng(number).normal(0, 14 * (number - 2), photograph.shape)
        picture = Image.fromarray(np.clip(photograph + noise, 0, 255).astype(np.uint8))
    if number == 5:
        small = picture.resize((40, 40), Image.Resampling.BOX)
        picture = small.resize(picture.size, Image.Resampling.NEAREST)
    return picture, [5, 3.5, 2, 3.4, 1.9, 1.2][number]


def of_one_kind(photograph: NDArray[np.uint8], number: int) -> tuple[Image.Image, float]:
    return Image.fromarray(photograph).filter(ImageFilter.GaussianBlur(number)), 5 - 0.7 * number


def cropped(photograph: NDArray[np.uint8], number: int) -> tuple[Image.Image, float]:
    top, left = divmod(37 * number, 60)
    return Image.fromarray(photograph[top : top + 120, left : left + 120]), 5 - 0.7 * ((5 * number) % 6)


def test_six_versions_of_one_framing_tell_a_wrong_direction(tmp_path: Path) -> None:
    rows = versions(tmp_path, of_several_kinds)
    assert [f for f in check_rows(rows) if f.check == "direction"] == []
    (message,) = errors([replace(row, direction="lower") for row in rows], open_images=True)
    assert message.startswith("direction: quality rises with the pixel distance")


@pytest.mark.parametrize("make", [of_one_kind, cropped])
@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_versions_that_cannot_tell_a_direction_convict_nobody(
    tmp_path: Path, make: Callable[[NDArray[np.uint8], int], tuple[Image.Image, float]], direction: Direction
) -> None:
    rows = [replace(row, direction=direction) for row in versions(tmp_path, make)]
    [finding] = [finding for finding in check_rows(rows) if finding.check == "direction"]
    assert finding.severity == "note"
    assert "at least 6 versions of one size and framing that differ in several ways" in finding.message


def test_copies_of_test_pictures_in_training_are_found(tmp_path: Path) -> None:
    rows = pictures(tmp_path)
    same, alike = tmp_path / "same.png", tmp_path / "alike.jpg"
    same.write_bytes(Path(rows[0].path).read_bytes())
    Image.open(rows[1].path).resize((64, 64)).save(alike, quality=60)
    for path, name in ((same, "other"), (alike, "another")):
        rows.append(replace(rows[-1], dataset="web", image_id=path.name, path=str(path), ref_id=name, mos=1.0))
    messages = {f.severity: f.message for f in check_rows(rows, complete=False) if f.check == "leakage"}
    assert re.search(r"are the same file, e.g. .*0_0.png \(test\) and .*same.png \(train\)", messages["error"])
    assert re.search(r"look alike, e.g. .*alike.jpg \(train\)", messages["warning"])


def test_one_path_under_two_ids_in_two_splits_is_found_without_opening_it() -> None:
    row = ManifestRow(dataset="mine", image_id="a", path="/d/x/a.png", mos=1.0, direction="higher", split="train")
    rows = [row, replace(row, image_id="b", path="/d/./x/a.png", mos=2.0, split="test"), replace(row, image_id="c")]
    (message,) = errors([*rows, replace(row, image_id="d", path="/d/x/d.png", mos=4.0)])
    assert message == (
        "leakage: 1 pairs of images in different splits are the same file, e.g. /d/x/a.png as 'a' (train) and "
        "/d/./x/a.png as 'b' (test)"
    )
    assert errors([replace(each, split="train") for each in rows]) == []


def test_a_device_split_of_piq23_is_told_and_accepted() -> None:
    """Each scene is on both sides, by the authors' own list; for any other dataset that is an error."""
    rows = [
        ManifestRow(
            dataset="piq23-overall",
            image_id=f"{number}_Scene_{scene}.jpg",
            path=f"/data/{number}_Scene_{scene}.jpg",
            ref_id=f"Scene_{scene}",
            scene_id=f"Scene_{scene}",
            mos=float(number) - 0.3 * scene,
            direction="higher",
            split="test" if number % 3 == 0 else "train",
        )
        for scene in range(5)
        for number in range(6)
    ]
    leakage = [f for f in check_rows(rows, complete=False, open_images=False) if f.check == "leakage"]
    assert [(finding.severity, finding.message) for finding in leakage] == [
        (
            "note",
            "5 contents are in several splits, e.g. Scene_0 in test and train, as in an official split; results then "
            "say nothing about new contents",
        )
    ]
    other = [replace(row, dataset="mine") for row in rows]
    assert errors(other) == ["leakage: 5 contents are in several splits, e.g. Scene_0 in test and train"]
