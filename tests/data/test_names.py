"""Names of two lists meet by the whole name, by less only where nothing else has it, or the list is refused."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_iqa.data.names import match_names, whole
from ray_iqa.errors import DataError

NAMES = st.lists(st.lists(st.sampled_from("abx"), min_size=1, max_size=3).map("/".join), max_size=5, unique=True)


def matched(rows: list[str], entries: list[str]) -> dict[str, str] | None:
    """Row by entry; None for a refusal."""
    try:
        return {entries[entry]: rows[row] for entry, row in match_names([[row] for row in rows], entries).items()}
    except DataError:
        return None


@pytest.mark.parametrize(
    ("rows", "entries", "expected"),
    [
        (["A/x", "B/x"], ["A/x", "B/x"], {"A/x": "A/x", "B/x": "B/x"}),
        (["A/x", "B/x"], ["A/x"], {"A/x": "A/x"}),
        (["A/x", "A/y", "B/x", "B/y"], ["r/A/x", "r/B/y"], {"r/A/x": "A/x", "r/B/y": "B/y"}),
        (["/d/A/x", "/d/B/x", "/d/y"], ["A/x", "B/x", "y"], {"A/x": "/d/A/x", "B/x": "/d/B/x", "y": "/d/y"}),
        (["/d/x"], ["elsewhere/x"], {"elsewhere/x": "/d/x"}),
        (["m/x"], ["live/A/x", "live/B/x", "m/x"], {"m/x": "m/x"}),
        (["A/x", "B/x"], ["A/x", "C/x"], {"A/x": "A/x"}),
        (["ax"], ["x"], {}),
    ],
)
def test_whole_names_and_unique_ends(rows: list[str], entries: list[str], expected: dict[str, str]) -> None:
    assert matched(rows, entries) == expected


@pytest.mark.parametrize(
    ("rows", "entries", "sentence"),
    [
        (["A/x", "B/x"], ["x"], "'x' fits both 'A/x' and 'B/x'; the whole name must be given"),
        (["A/x", "B/x"], ["A/x", "x"], "'x' fits both 'B/x' and 'A/x'"),
        (["d/x"], ["A/x", "B/x"], "'d/x' fits both 'A/x' and 'B/x'; the whole name"),
        (["A/x", "B/x"], ["C/x"], "'C/x' fits both 'A/x' and 'B/x'"),
        (["x", "./x"], ["x"], "'x' fits both 'x' and './x'"),
    ],
)
def test_what_could_mean_two_is_refused(rows: list[str], entries: list[str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        match_names([[row] for row in rows], entries)


def test_spellings_of_one_path_are_one_name() -> None:
    assert {whole(name) for name in ("a/b.png", "./a/b.png", "a//b.png", "a\\b.png", "c/../a/b.png")} == {"a/b.png"}


@settings(max_examples=200, deadline=None)
@given(NAMES, NAMES, st.randoms(use_true_random=False))
def test_neither_order_nor_a_common_folder_changes_who_is_meant(
    rows: list[str], entries: list[str], dice: Random
) -> None:
    found = matched(rows, entries)
    if found is not None:
        assert len(set(found.values())) == len(found), "a row has one entry"
        assert all(found[name] == name for name in found.keys() & set(rows)), "the whole name decides"
    shuffled = matched(dice.sample(rows, len(rows)), dice.sample(entries, len(entries)))
    assert shuffled == found
    moved = [
        matched([f"new/{row}" for row in rows], entries),
        matched(rows, [f"new/{entry}" for entry in entries]),
    ]
    if found is not None:
        pairs = [
            {(entry.removeprefix("new/"), row.removeprefix("new/")) for entry, row in each.items()}
            for each in moved
            if each is not None
        ]
        assert all(each == set(found.items()) for each in pairs), "the same, or refused"
