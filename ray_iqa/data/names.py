"""Which row a name in a list means: the whole name decides, a shorter one only where nothing else has it."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from posixpath import normpath

from ray_iqa.errors import DataError

_WHOLE = "\0"  # before a name: all of it, and not the end of a longer one


def whole(name: str) -> str:
    """A name as names are compared: ``a/./b`` and ``a//b``, as with back-slashes, are ``a/b``."""
    return normpath(name.replace("\\", "/"))


def match_names(rows: Sequence[Collection[str]], entries: Sequence[str]) -> dict[int, int]:
    """Place of the row that each entry means, by the place of the entry.

    An entry that equals a name of a row means this row. Any other means the row that shares its longest end, cut at a
    folder, if no second row and no second entry end so. The rest means none.

    Args:
        rows: one or several names of each row, the last of them for messages.
        entries: names that differ, as `whole` has them.

    Raises:
        DataError: an entry fits two rows, or two entries fit a row, equally well.
    """
    rows_of, entries_of = _by_end(rows), _by_end([[entry] for entry in entries])
    shared = {place: [end for end in _ends(entry) if end in rows_of] for place, entry in enumerate(entries)}
    end_of = {place: ends[0] for place, ends in shared.items() if ends}  # the longest
    found = {
        place: min(rows_of[end]) for place, end in end_of.items() if len(rows_of[end]) == len(entries_of[end]) == 1
    }
    taken = set(found.values())
    for place, end in end_of.items():
        free, rivals = rows_of[end] - taken, entries_of[end] - found.keys()
        is_part = end.removeprefix(_WHOLE) == entries[place] or free & rows_of.get(_WHOLE + end, set())
        if place not in found and free and (is_part or len(free) > 1 or len(rivals) > 1):
            near = [list(rows[row])[-1] for row in (*sorted(free), *sorted(rows_of[end] & taken))]
            said = [entries[place], *(entries[rival] for rival in sorted(entries_of[end] - {place}))]
            one, first, second = (entries[place], *near[:2]) if len(near) > 1 else (near[0], *said[:2])
            raise DataError(f"{one!r} fits both {first!r} and {second!r}; the whole name must be given")
    return found


def _by_end(rows: Sequence[Collection[str]]) -> dict[str, set[int]]:
    """Places of the rows with a name that ends so, by end."""
    found: dict[str, set[int]] = defaultdict(set)
    for row, names in enumerate(rows):
        for end in (end for name in names for end in _ends(whole(name))):
            found[end].add(row)
    return found


def _ends(name: str) -> Iterator[str]:
    """The whole name, the name as an end of others, without its first folder, and so on to the file name."""
    yield _WHOLE + name
    while name:
        yield name
        name = name.partition("/")[2]
