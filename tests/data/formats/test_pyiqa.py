import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from ray_iqa.data.convert import Interpretation, read_source
from ray_iqa.data.formats.pyiqa import read_pyiqa, write_pyiqa
from ray_iqa.data.formats.source import Source
from ray_iqa.errors import DataError

SOURCE = Source(dataset="mine", images=Path("/images"), direction="higher")
NR = "img_name,mos,std,official_split,ratio802_seed123_split_01\na.jpg,3.5,0.4,train,test\nb.jpg,2.5,0.6,test,train\n"
FR = "ref_name,dist_name,mos,std\nI01.png,I01_01_01.png,4.57,0.496\nI01.png,I01_01_02.png,4.33,0.869\n"


def meta(folder: Path, text: str) -> Path:
    (folder / "meta.csv").write_text(text)
    return folder / "meta.csv"


def test_no_reference_meta_with_split_columns(tmp_path: Path) -> None:
    rows = read_pyiqa(meta(tmp_path, NR), SOURCE, split_column="official_split")
    assert [(row.path, row.mos, row.mos_std, row.split) for row in rows] == [
        ("/images/a.jpg", 3.5, 0.4, "train"),
        ("/images/b.jpg", 2.5, 0.6, "test"),
    ]
    second = read_pyiqa(meta(tmp_path, NR), SOURCE, split_column="ratio802_seed123_split_01")
    assert [row.split for row in second] == ["test", "train"]
    with pytest.raises(DataError, match="its split columns are official_split, ratio802_seed123_split_01"):
        read_pyiqa(meta(tmp_path, NR), SOURCE, split_column="split_9")


def test_full_reference_meta_is_told_by_its_second_column(tmp_path: Path) -> None:
    rows = read_pyiqa(meta(tmp_path, FR), SOURCE)
    assert [(row.ref_id, row.image_id, row.mos, row.mos_std) for row in rows] == [
        ("I01.png", "I01_01_01.png", 4.57, 0.496),
        ("I01.png", "I01_01_02.png", 4.33, 0.869),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a.jpg,3.5,0.4\nb.jpg,2.5,0.6\n",
        "name_1.jpg,3.5,0.4\nname_2.jpg,2.5,0.6\n",
        "I01.png,I01_01_01.png,4.57,0.496\nI01.png,I01_01_02.png,4.33,0.869\n",
        "img_name\na.jpg\n",
        "img_name,std,mos\na.jpg,1,2\n",
    ],
)
def test_a_file_without_its_header_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"meta.csv must begin with a header such as img_name,mos,std or ref_name"):
        read_pyiqa(meta(tmp_path, text), SOURCE)


@pytest.mark.parametrize("text", [NR, FR])
@pytest.mark.parametrize("index", ["", "Unnamed: 0"])
def test_a_column_of_row_numbers_is_none_of_the_columns(text: str, index: str, tmp_path: Path) -> None:
    expected = read_pyiqa(meta(tmp_path, text), SOURCE)
    header, *lines = text.splitlines()
    numbered = [f"{index},{header}", *(f"{number},{line}" for number, line in enumerate(lines))]
    assert read_pyiqa(meta(tmp_path, "\n".join(numbered)), SOURCE) == expected


def test_each_of_the_splits_in_a_pickle_can_be_chosen(tmp_path: Path) -> None:
    splits = {number: {"train": [number % 2], "val": [], "test": [1 - number % 2]} for number in range(1, 11)}
    (tmp_path / "s.pkl").write_bytes(pickle.dumps(splits))
    told = Interpretation(dataset="mine", direction="higher", images=Path("/images"), split_pickle=tmp_path / "s.pkl")
    for number, own in splits.items():
        rows = read_source("pyiqa", meta(tmp_path, FR), replace(told, split_number=number))
        assert [row.split for row in rows] == [split for _, split in sorted((own[s][0], s) for s in ("train", "test"))]
    (tmp_path / "s.pkl").write_bytes(pickle.dumps({1: {"train": [2]}}))
    with pytest.raises(DataError, match=r"row numbers in s.pkl must lie below the 2 rows"):
        read_source("pyiqa", meta(tmp_path, FR), told)


def test_row_numbers_of_live_challenge_count_without_its_training_images(tmp_path: Path) -> None:
    names = [*(f"t{number}.bmp" for number in range(1, 8)), "3.bmp", "4.bmp"]
    text = "img_name,mos,std\n" + "".join(f"{name},{50 + i},20\n" for i, name in enumerate(names))
    (tmp_path / "s.pkl").write_bytes(pickle.dumps({1: {"train": [0]}}))
    told = Interpretation(dataset="live-challenge", split_pickle=tmp_path / "s.pkl")
    rows = read_source("pyiqa", meta(tmp_path, text), told)
    assert [(row.image_id, row.mos, row.split) for row in rows] == [("3.bmp", 57, "train"), ("4.bmp", 58, None)]


def test_the_spread_of_koniq_does_not_belong_to_its_z_scores(tmp_path: Path) -> None:
    rows = read_pyiqa(meta(tmp_path, "img_name,mos,std\na.jpg,77.4,0.53\n"), replace(SOURCE, dataset="koniq10k"))
    assert [(row.mos, row.mos_std) for row in rows] == [(77.4, None)]


def test_written_metas_are_read_again(tmp_path: Path) -> None:
    rows = read_pyiqa(meta(tmp_path, NR), SOURCE, split_column="official_split")
    rows.append(replace(rows[0], image_id="c.jpg", path="/images/c.jpg", mos_std=None, split=None))
    write_pyiqa(tmp_path / "again.csv", rows, Path("/images"))
    assert read_pyiqa(tmp_path / "again.csv", SOURCE, split_column="official_split") == rows


def test_broken_lines_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"meta.csv line 3: must have 3 fields as the header, got 2"):
        read_pyiqa(meta(tmp_path, "img_name,mos,std\na.jpg,1,2\nb.jpg,1\n"), SOURCE)
    with pytest.raises(DataError, match=r"meta.csv line 2: mos must be a number, got 'x'"):
        read_pyiqa(meta(tmp_path, "img_name,mos,std\na.jpg,1,2\n".replace(",1,", ",x,")), SOURCE)
