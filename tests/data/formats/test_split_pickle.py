import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from ray_iqa.data.formats.split_lists import read_split_pickle
from ray_iqa.errors import DataError


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_plain_lists_of_row_numbers(tmp_path: Path) -> None:
    splits = {1: {"train": [0, 2], "val": [], "test": [1]}, 2: {"train": [1, 2], "val": [], "test": [0]}}
    (tmp_path / "s.pkl").write_bytes(pickle.dumps(splits))
    assert read_split_pickle(tmp_path / "s.pkl") == splits[1]
    assert read_split_pickle(tmp_path / "s.pkl", 2) == splits[2]
    with pytest.raises(DataError, match=r"must hold split number 3, found \[1, 2\]"):
        read_split_pickle(tmp_path / "s.pkl", 3)


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_in_a_pickle_is_run(protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "s.pkl").write_bytes(pickle.dumps({1: {"train": [Bomb(mark)]}}, protocol=protocol))
    with pytest.raises(DataError, match="plain lists and dictionaries, but it names "):
        read_split_pickle(tmp_path / "s.pkl")
    assert not mark.exists()
    pickle.loads((tmp_path / "s.pkl").read_bytes())
    assert mark.exists()  # the bomb is live


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (pickle.dumps({1: {"train": np.arange(3)}}), "names numpy"),
        (pickle.dumps({1: {"train": ["a"]}}), "must be lists of row numbers"),
        (pickle.dumps({1: {1: [0], "1": [2]}}), "must be lists of row numbers by train, val and test"),
        (pickle.dumps([1, 2]), "found list"),
        (b"nonsense", "must be a pickle"),
        (b"", "must be a pickle"),
    ],
)
def test_other_contents_are_refused(content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "s.pkl").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read_split_pickle(tmp_path / "s.pkl")
    with pytest.raises(DataError, match="no split pickle at"):
        read_split_pickle(tmp_path / "gone.pkl")
