"""The two ladders on disk: splits by content, scales, determinism, order of labels."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr

from ray_iqa.data.manifest import load_manifest, read_rows
from ray_iqa.data.rows import ManifestRow
from ray_iqa.errors import ConfigError
from ray_iqa.quickstart.distortions import LADDER, SMALL_PICTURE_KINDS
from ray_iqa.quickstart.pictures import PHOTOGRAPHS
from ray_iqa.quickstart.quality import true_quality
from ray_iqa.quickstart.synthesise import permute_labels, synthesise
from ray_iqa.runs.preflight import check_pictures

SMALL = {"num_train": 400, "num_val": 60, "num_test": 120}


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return synthesise(tmp_path_factory.mktemp("ladders"), **SMALL, seed=1)


@pytest.fixture(scope="module")
def rows(manifests: list[Path]) -> list[ManifestRow]:
    return [row for manifest in manifests for row in read_rows(manifest)]


def test_the_files_are_there_and_of_one_size(manifests: list[Path], rows: list[ManifestRow]) -> None:
    assert Counter(row.split for row in rows) == {"train": 400, "val": 60, "test": 120}
    assert Counter(row.dataset for row in rows) == {"ladder-a": 290, "ladder-b": 290}
    for manifest in manifests:
        images = load_manifest(manifest, None)
        check_pictures([image.image_path for image in images])
        sizes = {Image.open(image.image_path).size for image in images}
        assert sizes == {(56, 56)}


def test_no_content_is_in_two_splits(rows: list[ManifestRow]) -> None:
    splits_of: dict[str, set[str]] = {}
    for row in rows:
        splits_of.setdefault(row.ref_id, set()).add(row.split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    for photograph in PHOTOGRAPHS:
        assert splits_of[photograph.name] == {photograph.split}


def test_half_of_every_split_shows_photographs_with_their_licence(rows: list[ManifestRow]) -> None:
    licence_of = {photograph.name: photograph.licence for photograph in PHOTOGRAPHS}
    shown = Counter(row.split for row in rows if row.ref_id in licence_of)
    assert shown == {"train": 200, "val": 30, "test": 60}
    assert all(row.licence == licence_of.get(row.ref_id, "CC0-1.0 (procedural)") for row in rows)


def test_labels_lie_on_their_scales_and_follow_the_quality(rows: list[ManifestRow]) -> None:
    scales = {"ladder-a": ("higher", 1.0, 5.0), "ladder-b": ("lower", 0.0, 100.0)}
    for dataset, sign in (("ladder-a", 1), ("ladder-b", -1)):
        own = [row for row in rows if row.dataset == dataset]
        assert {(row.direction, row.scale_min, row.scale_max) for row in own} == {scales[dataset]}
        quality = [true_quality(row.distortion, row.level) for row in own]
        assert sign * spearmanr([row.mos for row in own], quality).statistic > 0.97
        width = scales[dataset][2] - scales[dataset][1]
        assert 0.05 < np.median([row.mos_std for row in own]) / width < 0.15
    pristine = [row.mos for row in rows if row.level == 0 and row.dataset == "ladder-b"]
    assert max(pristine) < 10


def test_conditions_are_spread(rows: list[ManifestRow]) -> None:
    kinds = Counter(row.distortion for row in rows)
    assert set(kinds) == {"pristine", *SMALL_PICTURE_KINDS}
    assert 0.03 < kinds["pristine"] / len(rows) < 0.1
    assert all(row.level == 0 for row in rows if row.distortion == "pristine")
    assert Counter(row.level for row in rows).keys() == set(range(6))


def test_test_images_are_different_pictures(manifests: list[Path]) -> None:
    contents = [Path(image.image_path).read_bytes() for path in manifests for image in load_manifest(path, "test")]
    assert len(set(contents)) == len(contents)


def test_same_seed_same_bytes(manifests: list[Path], tmp_path: Path) -> None:
    again = synthesise(tmp_path / "again", **SMALL, seed=1)
    for first, second in zip(manifests, again, strict=True):
        files = sorted(path.relative_to(first.parent) for path in first.parent.rglob("*.*"))
        assert files == sorted(path.relative_to(second.parent) for path in second.parent.rglob("*.*"))
        assert all((first.parent / file).read_bytes() == (second.parent / file).read_bytes() for file in files)
    other = synthesise(tmp_path / "other", **SMALL, seed=2)
    assert other[0].read_bytes() != manifests[0].read_bytes()


def test_larger_pictures_show_every_kind(tmp_path: Path) -> None:
    paths = synthesise(tmp_path, num_train=120, num_val=8, num_test=8, size=128)
    rows = [row for path in paths for row in read_rows(path)]
    assert {row.distortion for row in rows} == {"pristine", *LADDER}
    assert Image.open(paths[0].parent / rows[0].path).size == (128, 128)


def test_kinds_are_chosen_by_name_and_unknown_ones_refused(tmp_path: Path) -> None:
    paths = synthesise(tmp_path, num_train=40, num_val=8, num_test=8, kinds=["jpeg"])
    assert {row.distortion for row in read_rows(paths[0])} <= {"pristine", "jpeg"}
    with pytest.raises(ConfigError, match=r"kinds must be one or more of gaussian_blur, .*; got 'blurr'"):
        synthesise(tmp_path, kinds=["jpeg", "blurr"])
    with pytest.raises(ConfigError, match=r"size must be 32 to 300 pixels .*, got 301"):
        synthesise(tmp_path, size=301)
    with pytest.raises(ConfigError, match=r"must not be negative, got -3 for training, .* and seed 0"):
        synthesise(tmp_path, num_train=-3)


def test_control_permutes_training_labels_only(manifests: list[Path], tmp_path: Path) -> None:
    control = permute_labels(manifests, tmp_path, seed=3)
    assert [path.name for path in control] == ["ladder-a.csv", "ladder-b.csv"]
    for original, permuted in zip(manifests, control, strict=True):
        before, after = read_rows(original), read_rows(permuted)
        check_pictures([image.image_path for image in load_manifest(permuted, None)])
        labels = {"before": [], "after": []}
        for old, new in zip(before, after, strict=True):
            assert (new.image_id, new.level, new.split) == (old.image_id, old.level, old.split)
            if old.split == "train":
                labels["before"].append((old.mos, old.mos_std))
                labels["after"].append((new.mos, new.mos_std))
            else:
                assert (new.mos, new.mos_std) == (old.mos, old.mos_std)
        assert sorted(labels["before"]) == sorted(labels["after"])
        assert abs(spearmanr([mos for mos, _ in labels["before"]], [mos for mos, _ in labels["after"]]).statistic) < 0.2
