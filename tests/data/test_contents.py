"""Names that tell what an image shows, in the forms that the files of the field have."""

from dataclasses import replace
from pathlib import Path

import pytest

from ray_iqa.data.checks.check import check_rows
from ray_iqa.data.contents import with_contents
from ray_iqa.data.datasets.listing import PUBLIC_DATASETS, public_dataset
from ray_iqa.data.manifest import read_located, write_rows
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.split import split_by_reference
from ray_iqa.errors import DataError


def rows_of(dataset: str, names: list[str], **columns: object) -> list[ManifestRow]:
    return [
        ManifestRow(dataset=dataset, image_id=name, path=f"/d/{name}", mos=float(i), direction="higher", **columns)
        for i, name in enumerate(names)
    ]


@pytest.mark.parametrize(
    ("dataset", "name", "content"),
    [
        ("kadid10k", "kadid10k/I66_01_01.png", "I66"),
        ("kadid10k", "KADID10K\\images\\i07_25_05.PNG", "I07"),
        ("kadid10k", "I01.png", "I01"),
        ("kadid10k", "I01", "I01"),
        ("kadid10k", "I01_01_09.png", None),
        ("kadid10k", "xI01_01_01.png", None),
        ("tid2013", "tid2013/distorted_images/i25_24_5.bmp", "I25"),
        ("tid2013", "I01_01_1.BMP", "I01"),
        ("csiq", "csiq/dst_imgs/jpeg/couple.JPEG.2.png", "couple"),
        ("csiq", "csiq/dst_imgs/awgn/1600.AWGN.1.png", "1600"),
        ("csiq", "snow_leaves.jpeg2000.5.png", "snow_leaves"),
        ("csiq", "src_imgs/snow_leaves.png", "snow_leaves"),
        ("csiq", "couple.other.2.png", None),
        ("live", "live/jp2k/img1.bmp", None),
        ("live", "refimgs/Bikes.bmp", "bikes"),
        ("pipal", "Distortion_1/A0001_03_05.bmp", "A0001"),
        ("koniq10k", "10004473376.jpg", None),
    ],
)
def test_what_names_tell(dataset: str, name: str, content: str | None) -> None:
    assert public_dataset(dataset).content_of(name) == content
    (row,) = with_contents(rows_of(dataset, [name]))
    assert row.ref_id == content


def test_a_reference_that_is_told_stays_or_gets_its_usual_spelling() -> None:
    assert [row.ref_id for row in with_contents(rows_of("kadid10k", ["I01_01_01.png"], ref_id="own"))] == ["own"]
    assert [row.ref_id for row in with_contents(rows_of("kadid10k", ["I01_01_01.png"], ref_id="I01.png"))] == ["I01"]


KADID = [f"I{reference:02d}_01_{level:02d}.png" for reference in range(1, 11) for level in range(1, 6)]


@pytest.mark.parametrize("dataset", ["kadid10k", "KADID-10k", "test_kadid"])
def test_rows_with_the_names_of_a_public_dataset_are_split_by_its_references(dataset: str) -> None:
    rows = rows_of(dataset, KADID)
    with pytest.raises(DataError, match=r"50 of 50 rows .* have no ref_id, such as that of 'I01_01_01.png'"):
        split_by_reference(rows, {"train": 0.5, "test": 0.5}, seed=0)
    found = split_by_reference(with_contents(rows), {"train": 0.5, "test": 0.5}, seed=0)
    assert len({(row.ref_id, row.split) for row in found}) == len({row.ref_id for row in found}) == 10


@pytest.mark.parametrize("ids", ["names", "numbers"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_manifest_of_any_dataset_is_read_with_the_contents_its_names_tell(
    ids: str, suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = rows_of("mine", KADID)
    if ids == "numbers":
        rows = [replace(row, image_id=str(number)) for number, row in enumerate(rows)]
    write_rows(tmp_path / f"m{suffix}", rows)
    found = split_by_reference(read_located(tmp_path / f"m{suffix}"), {"train": 0.5, "test": 0.5}, seed=0)
    assert [row.ref_id for row in found] == [name[:3] for name in KADID]
    assert len({(row.ref_id, row.split) for row in found}) == 10
    assert caplog.messages == ["dataset 'mine' has the names of KADID-10k: they tell the ref_id of 50 rows"]


def test_names_of_live_tell_no_content_so_rows_of_any_dataset_with_them_are_not_split() -> None:
    rows = with_contents(rows_of("mine", [f"{kind}/img{n}.bmp" for kind in ("jp2k", "wn") for n in range(1, 9)]))
    with pytest.raises(DataError, match=r"16 of 16 rows of dataset 'mine' have no ref_id.* --from live"):
        split_by_reference(rows, {"train": 0.5, "test": 0.5}, seed=0)


@pytest.mark.parametrize("dataset", [each.name for each in PUBLIC_DATASETS if each.repeats_contents])
def test_a_dataset_of_versions_is_not_split_without_references(dataset: str) -> None:
    rows = rows_of(dataset, [f"jp2k/img{number}.bmp" for number in range(10)])
    with pytest.raises(DataError, match=rf"fill the column, or take the folder .* --from {dataset}"):
        split_by_reference(rows, {"train": 0.5, "test": 0.5}, seed=0)
    found = check_rows(rows, complete=False, open_images=False)
    assert [finding.severity for finding in found if finding.check == "references"] == ["error"]
    split_by_reference(
        rows_of(dataset, ["a", "b"], scene_id="s1")[:1] + rows_of(dataset, ["c"], scene_id="s2"),
        {"train": 0.5, "test": 0.5},
        seed=0,
    )


def test_contents_in_two_splits_are_found_by_their_names() -> None:
    rows = rows_of("kadid10k", KADID[:5], split="train") + rows_of("kadid10k", ["I01_02_01.png"], split="test")
    messages = [finding.message for finding in check_rows(with_contents(rows), complete=False, open_images=False)]
    assert any("1 contents are in several splits, e.g. I01 in test and train" in message for message in messages)


def test_other_peoples_names_are_left_alone() -> None:
    rows = rows_of("mine", [*KADID, "x.png"])
    assert with_contents(rows) == rows
    assert {row.split for row in split_by_reference(rows, {"train": 0.5, "test": 0.5}, seed=0)} == {"train", "test"}
