"""All public datasets there are adapters for."""

import difflib

from ray_iqa.data.datasets import (
    agiqa1k,
    agiqa3k,
    bid,
    csiq,
    flive,
    kadid10k,
    koniq10k,
    liu13,
    live,
    live_challenge,
    min19,
    pipal,
    piq23,
    spaq,
    sriqa_bench,
    tid2013,
    uhd_iqa,
)
from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.errors import DataError

PUBLIC_DATASETS: tuple[PublicDataset, ...] = (
    *koniq10k.DATASETS,
    spaq.DATASET,
    kadid10k.DATASET,
    tid2013.DATASET,
    live_challenge.DATASET,
    bid.DATASET,
    pipal.DATASET,
    agiqa3k.DATASET,
    agiqa1k.DATASET,
    csiq.DATASET,
    live.DATASET,
    flive.DATASET,
    sriqa_bench.DATASET,
    *piq23.DATASETS,
    uhd_iqa.DATASET,
    liu13.DATASET,
    min19.DATASET,
)
NAMES = tuple(dataset.name for dataset in PUBLIC_DATASETS)


def known_dataset(name: str) -> PublicDataset | None:
    """The public dataset of that name, also as papers spell it (KADID-10k); None for anybody else's data."""
    return next((dataset for dataset in PUBLIC_DATASETS if _letters(dataset.name) == _letters(name)), None)


def public_dataset(name: str) -> PublicDataset:
    """The public dataset of that name.

    Raises:
        DataError: there is none; suggests the nearest.
    """
    found = known_dataset(name)
    if found is None:
        near = difflib.get_close_matches(name.lower(), NAMES, n=1, cutoff=0.4)
        hint = f", did you mean {near[0]!r}" if near else ""
        raise DataError(f"there is no adapter called {name!r}{hint}; there are {', '.join(NAMES)}")
    return found


def _letters(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
