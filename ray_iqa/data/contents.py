"""What an image shows, where its row does not say it but its name does, and where neither does."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.datasets.listing import PUBLIC_DATASETS, known_dataset
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.unique import grouped

logger = logging.getLogger(__name__)


def with_contents(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Rows with the ``ref_id`` that the reference's or else the image's name tells, where names are a public dataset's.

    Where a dataset has another name than that public one, a line says so.
    """
    public = {dataset: _public(own) for dataset, own in grouped((row.dataset, row) for row in rows).items()}
    found = [_with_content(row, public[row.dataset]) for row in rows]
    for name, dataset in public.items():
        filled = sum(row.dataset == name and row.ref_id != old.ref_id for row, old in zip(found, rows, strict=True))
        if dataset is not None and filled and known_dataset(name) is None:
            logger.warning(
                "dataset %r has the names of %s: they tell the ref_id of %s rows", name, dataset.title, f"{filled:,}"
            )
    return found


def without_contents(rows: Sequence[ManifestRow]) -> str | None:
    """Why the rows of one dataset, as `with_contents` leaves them, cannot be told apart by what they show; else None.

    A public dataset that shows its contents several times needs a ``ref_id`` or a ``scene_id`` in every row, and so
    does one whose names are those of such a dataset.
    """
    lacking = [row for row in rows if row.ref_id is None and row.scene_id is None]
    public = _public(rows)
    if not lacking or public is None or not public.repeats_contents:
        return None
    return (
        f"{len(lacking):,} of {len(rows):,} rows of dataset {rows[0].dataset!r} have no ref_id, such as that of "
        f"{lacking[0].image_id!r}, and {public.title} shows each content several times; fill the column, or take the "
        f"folder as distributed: ray-iqa data convert FOLDER OUT --from {public.name}"
    )


def _with_content(row: ManifestRow, public: PublicDataset | None) -> ManifestRow:
    names = (row.image_id, row.path) if row.ref_id is None else (row.ref_id,)
    told = [content for name in names if public is not None and (content := public.content_of(name)) is not None]
    return replace(row, ref_id=told[0]) if told else row


def _public(rows: Sequence[ManifestRow]) -> PublicDataset | None:
    """The public dataset that rows are of by their dataset, else by all of their names."""
    known = known_dataset(rows[0].dataset)
    return known or next((other for other in PUBLIC_DATASETS if _has_names_of(other, rows)), None)


def _has_names_of(dataset: PublicDataset, rows: Sequence[ManifestRow]) -> bool:
    """Whether every row has a name as images of ``dataset`` have, its id or its path, and some show the same."""
    if not all(dataset.has_name(row.image_id) or dataset.has_name(row.path) for row in rows):
        return False
    contents = {dataset.content_of(row.image_id) or dataset.content_of(row.path) for row in rows}
    return len(contents) < len(rows)
