"""One set of rules for every table: what is written around the same rows changes no row, or the file is refused."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlwt
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_iqa.data.convert import Interpretation, read_source
from ray_iqa.data.formats.split_lists import read_split_list
from ray_iqa.data.names import whole
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.tables import READABLE, read_table, read_words
from ray_iqa.errors import DataError
from ray_iqa.evaluation.scorers.column import ColumnScorer
from ray_iqa.types import LabelledImage

Records = Sequence[dict[str, object]]
TOLD = Interpretation(
    dataset="mine",
    direction="higher",
    images=Path("/pics"),
    columns={"path": "img", "mos": "score", "ref_id": "ref", "mos_std": "std"},
)
RECORDS: Records = [
    {"img": "a/x.png", "score": 3.5, "std": 0.25, "ref": "one, two"},
    {"img": "b/x.png", "score": 1, "std": None, "ref": None},
    {"img": "c d.png", "score": 4.75, "std": 0.5, "ref": "one; two"},
    {"img": "ü.png", "score": 2.0, "std": None, "ref": "7"},
]
BOM = b"\xef\xbb\xbf"


def cells(records: Records) -> list[list[object]]:
    """The header and a row per record."""
    return [list(records[0]), *([record[column] for column in records[0]] for record in records)]


def csv_bytes(records: Records, separator: str = ",", line_end: str = "\n") -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=separator, lineterminator=line_end)
    writer.writerows(cells(records))
    return stream.getvalue().encode()


def json_lines(records: Records) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def parquet(records: Records) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records)), stream)
    return stream.getvalue()


def xlsx(records: Records) -> bytes:
    workbook, stream = openpyxl.Workbook(), io.BytesIO()
    for row in cells(records):
        workbook.active.append(row)
    workbook.save(stream)
    return stream.getvalue()


def xls(records: Records) -> bytes:
    workbook, stream = xlwt.Workbook(), io.BytesIO()
    sheet = workbook.add_sheet("labels")
    for i, row in enumerate(cells(records)):
        for j, value in enumerate(row):
            sheet.write(i, j, value)
    workbook.save(stream)
    return stream.getvalue()


def with_nan(records: Records) -> Records:
    return [{key: float("nan") if value is None else value for key, value in record.items()} for record in records]


FORMS: dict[str, tuple[str, Callable[[Records], bytes]]] = {
    "commas": (".csv", csv_bytes),
    "semicolons": (".csv", lambda records: csv_bytes(records, ";")),
    "tabs": (".csv", lambda records: csv_bytes(records, "\t")),
    "tsv": (".tsv", lambda records: csv_bytes(records, "\t")),
    "byte order mark": (".csv", lambda records: BOM + csv_bytes(records, ";", "\r\n")),
    "NaN in csv": (".csv", lambda records: csv_bytes(with_nan(records))),
    "lines of a spreadsheet": (".csv", lambda records: csv_bytes(records, line_end="\r\n") + b"\r\n,,,\r\n\r\n"),
    "blanks in the header": (".csv", lambda records: csv_bytes(records).replace(b"img,score,", b"img , score, ")),
    "an index of pandas": (
        ".csv",
        lambda records: csv_bytes([{"": number} | record for number, record in enumerate(records)]),
    ),
    "jsonl": (".jsonl", json_lines),
    "jsonl, mark and empty lines": (".jsonl", lambda records: BOM + json_lines(records) + b"\n  \n"),
    "NaN in jsonl": (".jsonl", lambda records: json_lines(with_nan(records))),
    "json": (".json", lambda records: json.dumps(list(records)).encode()),
    "json, mark": (".json", lambda records: BOM + json.dumps(list(records), indent=4).encode() + b"\n\n"),
    "parquet": (".parquet", parquet),
    "xlsx": (".xlsx", xlsx),
    "xls": (".xls", xls),
}


def read(suffix: str, content: bytes, folder: Path) -> list[ManifestRow]:
    (folder / f"t{suffix}").write_bytes(content)
    return read_source("table", folder / f"t{suffix}", TOLD)


def expected(records: Records) -> list[tuple[object, ...]]:
    return [(record["img"], record["score"], record["std"], record["ref"]) for record in records]


def found(rows: Sequence[ManifestRow]) -> list[tuple[object, ...]]:
    return [(row.image_id, row.mos, row.mos_std, row.ref_id) for row in rows]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows_in_the_same_order(form: str, tmp_path: Path) -> None:
    suffix, written = FORMS[form]
    rows = read(suffix, written(RECORDS), tmp_path)
    assert found(rows) == expected(RECORDS)
    assert [row.path for row in rows] == [f"/pics/{record['img']}" for record in RECORDS]
    assert found(read(suffix, written(RECORDS[::-1]), tmp_path)) == expected(RECORDS[::-1])


@pytest.mark.parametrize("form", FORMS)
def test_an_image_twice_is_refused_and_so_is_a_file_without_rows(form: str, tmp_path: Path) -> None:
    suffix, written = FORMS[form]
    with pytest.raises(DataError, match=r"image_id 'a/x.png' of dataset 'mine' is already at t\."):
        read(suffix, written([*RECORDS, RECORDS[0] | {"img": "a/./x.png", "score": 1.5}]), tmp_path)
    if form != "an index of pandas":
        with pytest.raises(DataError, match=r"t\.\w+ has no rows"):
            read(suffix, written([dict.fromkeys(RECORDS[0])]), tmp_path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("absent", ["img", "score"])
def test_a_row_without_its_image_or_label_is_refused(form: str, absent: str, tmp_path: Path) -> None:
    suffix, written = FORMS[form]
    with pytest.raises(DataError, match=r"t\.\w+ (line|row|entry) \d.*: (path|mos) must .*empty"):
        read(
            suffix,
            written([*RECORDS, {"img": "e.png", "score": 2.5, "std": 1.0, "ref": "r"} | {absent: None}]),
            tmp_path,
        )


NAMES = st.text("ab ,;\t\"'ü/\n", max_size=6).map(lambda text: f"x{text}.png")
NUMBERS = st.one_of(st.integers(-9, 9), st.floats(-1e6, 1e6, allow_nan=False))
TABLES = st.lists(
    st.fixed_dictionaries(
        {
            "img": NAMES,
            "score": NUMBERS,
            "std": st.one_of(st.none(), st.floats(0, 10)),
            "ref": st.one_of(st.none(), st.text("r,;\t 7", max_size=4).map(lambda text: f"r{text}")),
        }
    ),
    min_size=1,
    max_size=6,
)


@given(records=TABLES, form=st.sampled_from([name for name, (suffix, _) in FORMS.items() if suffix[:3] != ".xl"]))
@settings(max_examples=150, deadline=None)
def test_whatever_the_names_and_numbers_are(records: Records, form: str) -> None:
    suffix, written = FORMS[form]
    names = [whole(str(record["img"])) for record in records]
    with TemporaryDirectory() as folder:
        if len(set(names)) == len(names):
            assert found(read(suffix, written(records), Path(folder))) == expected(records)
        else:
            with pytest.raises(DataError, match="is already at"):
                read(suffix, written(records), Path(folder))


@pytest.mark.parametrize("form", FORMS)
def test_files_of_scores_and_lists_of_splits_are_tables_too(form: str, tmp_path: Path) -> None:
    suffix, written = FORMS[form]
    file = tmp_path / f"s{suffix}"
    images = [
        LabelledImage(
            image_id=str(i),
            image_path=f"/pics/{record['img']}",
            dataset="d",
            mos=1.0,
            mos_std=None,
            higher_is_better=True,
        )
        for i, record in enumerate(RECORDS)
    ]
    file.write_bytes(written([{"path": record["img"], "mine": record["score"]} for record in RECORDS[::-1]]))
    assert [found.value for found in ColumnScorer(file, "mine").predict(images)] == [3.5, 1, 4.75, 2]
    if form == "an index of pandas":
        return  # a list of splits goes by its first two columns
    if suffix != ".json":  # which is split.json of DeQA-Score
        sets = [{"name": record["img"], "split": f"Set{i % 2}"} for i, record in enumerate(RECORDS)]
        file.write_bytes(written(sets))
        assert [(item.name, item.split) for item in read_split_list(file)] == [
            (record["img"], f"set{i % 2}") for i, record in enumerate(RECORDS)
        ]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.csv", b"img;score,std,ref\na;1,2,3\n", r"columns must be separated by commas, .* has ',' and ';'"),
        ("t.csv", b"img|score\na|1\n", r"column 'img' is missing, found img|score"),
        ("t.csv", b"a.png,3,1,r\nb.png,2,1,r\n", "line 2: column 'img' is missing, found a.png, 3, 1, r"),
        ("t.csv", b"img,score,std,ref\na.png;1;2;3\n", "line 2: must have 4 fields as the header, got 1"),
        ("t.csv", b"img;score;std;ref\na.png;3,5;0;r\n", "line 2: mos must be a number, got '3,5'"),
        ("t.csv", b"img,score,std,ref\na.png,1,2\n", "line 2: must have 4 fields as the header, got 3"),
        (
            "t.csv",
            b"img,score,std,score\na.png,1,2,3\n",
            "column 4: the name 'score' is already at t.csv line 1 ",
        ),
        ("t.csv", b"", "has no rows"),
        ("t.csv", BOM, "has no rows"),
        ("t.csv", b"img,score,std,ref\n", "has no rows"),
        ("t.csv", "img,score\nü.png,1\n".encode("latin-1"), "is not a readable csv file"),
        ("t.csv", "img,score\na.png,1\n".encode("utf-16"), "is not a readable csv file"),
        ("t.jsonl", b"", "has no rows"),
        ("t.jsonl", b'[{"img": "a", "score": 1}]\n', "line 1: must be a JSON object, got list"),
        ("t.json", b'{"img": "a", "score": 1}', "must hold a list of objects"),
        ("t.json", b"[]", "has no rows"),
        ("t.parquet", b"", "is not a readable parquet file"),
        ("t.xlsx", b"PK nonsense", "is not a readable xlsx file"),
        ("t.xls", b"nonsense", "is not a readable xls file"),
        ("t.txt", b"img,score\na.png,1\n", "a table must end in .csv, .*, .xlsx or .xls, got"),
    ],
)
def test_what_is_refused(name: str, content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read_source("table", tmp_path / name, TOLD)


@pytest.mark.parametrize("suffix", READABLE)
def test_a_table_that_is_not_there(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"no table at .*gone{suffix}"):
        list(read_table(tmp_path / f"gone{suffix}"))


def test_lines_are_counted_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'\n\nimg,score\n\n"a\nb.png",1\n\nc.png,2\n')
    assert [place for place, _ in read_table(tmp_path / "t.csv")] == ["t.csv line 6", "t.csv line 8"]
    (tmp_path / "t.jsonl").write_bytes(b'\n{"a": 1}\n\n{"a": 2}\n')
    assert [place for place, _ in read_table(tmp_path / "t.jsonl")] == ["t.jsonl line 2", "t.jsonl line 4"]
    (tmp_path / "t.txt").write_bytes(BOM + b"\na 1\n\nb 2\n")
    assert read_words(tmp_path / "t.txt", "two", (2,)) == [["t.txt line 2", "a", "1"], ["t.txt line 4", "b", "2"]]
    (tmp_path / "t.txt").write_bytes(b"\n \n")
    with pytest.raises(DataError, match="has no rows"):
        read_words(tmp_path / "t.txt", "two", (2,))


def test_numbers_that_stand_for_names_are_read_as_their_digits(tmp_path: Path) -> None:
    """A column of numbers with a gap is one of floats for pandas and for spreadsheets."""
    records = [{"img": "a", "score": 1.0, "std": 0.0, "ref": 7.0}, {"img": "b", "score": 2.0, "std": 0.0, "ref": None}]
    for suffix, written in ((".parquet", parquet), (".xlsx", xlsx), (".jsonl", json_lines)):
        assert [row.ref_id for row in read(suffix, written(records), tmp_path)] == ["7", None]
