from pathlib import Path

import pytest
from native_copies import touch_image, write_lines

from ray_iqa.data.datasets import koniq10k
from ray_iqa.errors import DataError

SCORES = (
    '"image_name","c1","c2","c3","c4","c5","c_total","MOS","SD","MOS_zscore"',
    '"10004473376.jpg",0,0,25,73,7,105,3.828571428571,0.527277894494,77.38362069',
    '"10007357496.jpg",0,3,45,47,1,96,3.479166666667,0.580003024795,68.72857143',
)
SETS = (
    "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set",
    "10004473376.jpg,0,0,25,73,7,105,3.83,0.53,training",
    "10007357496.jpg,0,3,45,47,1,96,3.48,0.58,test",
)


def test_both_files_give_the_score_with_its_own_spread_and_the_authors_split(tmp_path: Path) -> None:
    write_lines(tmp_path / "koniq10k_scores_and_distributions.csv", *SCORES)
    write_lines(tmp_path / "koniq10k_distributions_sets.csv", *SETS)
    touch_image(tmp_path / "512x384/10004473376.jpg")
    rows = koniq10k.DATASET.rows(tmp_path)
    first = rows[0]
    assert (first.mos, first.mos_std, first.scale_min, first.scale_max) == (3.828571428571, 0.527277894494, 1, 5)
    assert [row.split for row in rows] == ["train", "test"]
    assert first.path == str(tmp_path / "512x384/10004473376.jpg")
    assert first.direction == "higher"


@pytest.mark.parametrize(("lines", "splits"), [(SCORES, [None, None]), (SETS, ["train", "test"])])
def test_one_file_is_enough(lines: tuple[str, ...], splits: list[str | None], tmp_path: Path) -> None:
    name = "koniq10k_distributions_sets.csv" if splits[0] else "koniq10k_scores_and_distributions.csv"
    write_lines(tmp_path / name, *lines)
    (tmp_path / "1024x768").mkdir()
    assert [row.split for row in koniq10k.DATASET.rows(tmp_path)] == splits


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must have the labels in koniq10k_distributions_sets"):
        koniq10k.DATASET.rows(tmp_path)
    write_lines(tmp_path / "koniq10k_scores_and_distributions.csv", *SCORES)
    with pytest.raises(DataError, match="must have its images in one of 1024x768, 512x384"):
        koniq10k.DATASET.rows(tmp_path)
    (tmp_path / "512x384").mkdir()
    write_lines(tmp_path / "koniq10k_scores_and_distributions.csv", "image_name,MOS_zscore", "a.jpg,77.4")
    with pytest.raises(
        DataError,
        match=r"distributions\.csv must have a row with the columns image_name, MOS, SD",
    ):
        koniq10k.DATASET.rows(tmp_path)
    write_lines(tmp_path / "koniq10k_scores_and_distributions.csv", "image_name,MOS,SD", "a.jpg,77.4,0.5")
    with pytest.raises(DataError, match=r"line 2: mos must lie in scale_min to scale_max, 1.0 to 5.0, got 77.4"):
        koniq10k.DATASET.rows(tmp_path)


def test_z_scores_of_the_first_authors_file_are_not_taken_for_the_mos(tmp_path: Path) -> None:
    lines = (SETS[0], "1.jpg,0.0,0.0,0.25,0.5,0.25,100,77.38,0.71,training", "2.jpg,0.5,0.5,0,0,0,100,3.91,0.5,test")
    write_lines(tmp_path / "koniq10k_distributions_sets.csv", *lines)
    (tmp_path / "1024x768").mkdir()
    assert [(row.mos, row.mos_std, row.split) for row in koniq10k.DATASET.rows(tmp_path)] == [
        (4.0, 0.71, "train"),
        (1.5, 0.5, "test"),
    ]


def test_z_scores_are_a_dataset_of_their_own_from_either_file(tmp_path: Path) -> None:
    (tmp_path / "1024x768").mkdir()
    shares = (SETS[0], "1.jpg,0.0,0.0,0.25,0.5,0.25,100,77.38,0.71,training", "2.jpg,0.5,0.5,0,0,0,100,3.91,0.5,test")
    write_lines(tmp_path / "koniq10k_distributions_sets.csv", *shares)
    rows = koniq10k.Z_SCORES.rows(tmp_path)
    assert [(row.dataset, row.mos, row.mos_std, row.split) for row in rows] == [
        ("koniq10k-zscore", 77.38, None, "train"),
        ("koniq10k-zscore", 3.91, None, "test"),
    ]
    write_lines(tmp_path / "koniq10k_distributions_sets.csv", *SETS)
    with pytest.raises(DataError, match=r"line 2: z-scores must be under MOS_zscore .* found the MOS itself, 3.83"):
        koniq10k.Z_SCORES.rows(tmp_path)
    write_lines(tmp_path / "koniq10k_scores_and_distributions.csv", *SCORES)
    rows = koniq10k.Z_SCORES.rows(tmp_path)
    assert [(row.mos, row.mos_std, row.split) for row in rows] == [
        (77.38362069, None, "train"),
        (68.72857143, None, "test"),
    ]
    assert (rows[0].scale_min, rows[0].scale_max) == (0, 100)
