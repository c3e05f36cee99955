"""Values by key; several of one key are kept together, or refused with both places: none wins by coming last."""

import json
from collections.abc import Collection, Hashable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from ray_iqa.errors import DataError

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


def once(found: Iterable[tuple[str, Key, Value]], what: str = "{!r}") -> dict[Key, Value]:
    """Value by key, of (place, key, value); ``what`` says in a message what a key is.

    Raises:
        DataError: a key is there twice; names both places.
    """
    place_of: dict[Key, str] = {}
    values: dict[Key, Value] = {}
    for place, key, value in found:
        if key in values:
            raise DataError(f"{place}: {what.format(key)} is already at {place_of[key]}")
        place_of[key], values[key] = place, value
    return values


def grouped(found: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    """All values of each key, keys and values in the order in which they come."""
    values: dict[Key, list[Value]] = {}
    for key, value in found:
        values.setdefault(key, []).append(value)
    return values


def unique_columns(names: Sequence[str], place: str, among: Collection[str] | None = None) -> None:
    """Check that no two columns have one name; columns without a name are left alone.

    Args:
        names: as in the header, from left to right.
        place: begins the message.
        among: the only names that matter; all without it.

    Raises:
        DataError: names the column and both of its numbers, counted from 1.
    """
    found = ((f"{place} column {n}", name, None) for n, name in enumerate(names, start=1) if name)
    once((each for each in found if among is None or each[1] in among), "the name {!r}")


def parse_json(text: str, place: str) -> Any:  # noqa: ANN401 - JSON
    """The content of a JSON text.

    Raises:
        DataError: it is not JSON, or an object has a key twice; begins with ``place``.
    """
    try:
        return json.loads(text, object_pairs_hook=partial(_object, place))
    except DataError:
        raise
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, thousands of brackets
        raise DataError(f"{place}: not JSON: {error}") from error


def _object(place: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    return once(((f"{place}, entry {n} of an object", *pair) for n, pair in enumerate(pairs, start=1)), "the key {!r}")
