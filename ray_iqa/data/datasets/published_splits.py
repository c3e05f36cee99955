"""Splits that papers published as lists and that no dataset carries in its own files."""

from collections.abc import Mapping

_KADID_VAL = "07 12 14 15 16 27 32 35 36 41 44 49 55 66 67 70"
_KADID_TEST = "19 29 30 34 37 38 43 50 64 71 72 73 74 78 80 81"


def _kadid() -> dict[str, frozenset[str]]:
    val = frozenset(f"I{number}" for number in _KADID_VAL.split())
    test = frozenset(f"I{number}" for number in _KADID_TEST.split())
    return {"train": frozenset(f"I{number:02d}" for number in range(1, 82)) - val - test, "val": val, "test": test}


PUBLISHED_SPLITS: Mapping[tuple[str, str], Mapping[str, frozenset[str]]] = {
    ("kadid10k", "visualquality-r1"): _kadid(),
}
"""(dataset, who published it) -> references of each split. VisualQuality-R1's shuffle cannot be repeated from its
seed, so its lists are the split: 49, 16 and 16 references of KADID-10k."""
