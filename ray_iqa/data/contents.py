"""What an image shows, where its row does not say it but its name does, and where neither does."""

from collections.abc import Sequence
from dataclasses import replace

from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.datasets.listing import PUBLIC_DATASETS, known_dataset
from ray_iqa.data.rows import ManifestRow


def with_contents(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Rows of public datasets with the ``ref_id`` that the reference's or else the image's name tells."""
    public = {
        dataset: _public([row for row in rows if row.dataset == dataset]) for dataset in {r.dataset for r in rows}
    }
    return [_with_content(row, public[row.dataset]) for row in rows]


def without_contents(rows: Sequence[ManifestRow]) -> str | None:
    """Why the rows of one dataset cannot be told apart by what they show; None where they can.

    A public dataset that shows its contents several times needs a ``ref_id`` or a ``group_id`` in every row, and so
    does one whose names are those of such a dataset.
    """
    lacking = [row for row in rows if row.ref_id is None and row.group_id is None]
    public = _public(rows)
    if not lacking or public is None or not public.repeats_contents:
        return None
    how = f"take the folder as distributed: ray-iqa data convert FOLDER OUT --from {public.name}"
    if _with_content(lacking[0], public).ref_id is not None:
        how = "its names tell them: ray-iqa data convert IN OUT --from manifest"
    return (
        f"{len(lacking):,} of {len(rows):,} rows of dataset {rows[0].dataset!r} have no ref_id, such as that of "
        f"{lacking[0].image_id!r}, and {public.title} shows each content several times; fill the column, or {how}"
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
    """Whether all names tell a content of ``dataset``, and some the same."""
    contents = {dataset.content_of(row.image_id) for row in rows}
    return None not in contents and len(contents) < len(rows)
