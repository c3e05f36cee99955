"""Every picture that a job works on, as one Arrow table: those of millions fit in the memory of the driver."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ray_iqa.config.pictures import PicturesConfig
from ray_iqa.data.find_images import SUFFIXES, images_of
from ray_iqa.data.label_maps import on_scale, stated_ranges
from ray_iqa.data.manifest import read_located
from ray_iqa.data.remote import is_url, list_files, located
from ray_iqa.data.rows import rows_of_split
from ray_iqa.data.tables import READABLE, read_table
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.seeds import derive_seed
from ray_iqa.types import LabelledImage

SCHEMA = pa.schema(
    [
        ("image_id", pa.large_string()),
        ("image_path", pa.large_string()),
        ("dataset", pa.large_string()),
        ("content", pa.large_string()),
        ("mos", pa.float64()),
        ("mapped_mos", pa.float64()),
    ]
)
_CHUNK = 20_000  # rows that are Python objects at a time
_Row = tuple[str, str, str, str, float | None, float | None]  # as `SCHEMA`


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedImage:
    """A row of `SCHEMA`; ``mos`` and ``mapped_mos`` are None without a label."""

    image_id: str
    image_path: str
    dataset: str
    content: str  # equal for images of the data set that show the same
    mos: float | None
    mapped_mos: float | None

    def for_sampler(self) -> LabelledImage:
        """As the sampler takes it, which looks at no label."""
        return LabelledImage(
            image_id=self.image_id,
            image_path=self.image_path,
            dataset=self.dataset,
            mos=math.nan,
            mos_std=None,
            higher_is_better=True,
        )


def read_pictures(config: PicturesConfig) -> pa.Table:
    """Every picture of every source once, in the order of the sources, as `SCHEMA`; files are not opened.

    Raises:
        ConfigError: a source does not exist or holds nothing.
        DataError: a row is bad, or two pictures of one data set have one id.
    """
    rows = (row for source in config.sources for row in _rows(source, config))
    tables, hashes = [], []
    while chunk := list(islice(rows, _CHUNK)):
        columns = [pa.array(values, kind) for values, kind in zip(zip(*chunk, strict=True), SCHEMA.types, strict=True)]
        tables.append(pa.Table.from_arrays(columns, schema=SCHEMA))
        hashes.append(np.fromiter((hash((row[2], row[0])) for row in chunk), np.int64, len(chunk)))
    return _first(_each_once(pa.concat_tables(tables), np.concatenate(hashes)), config.max_per_dataset)


def without(pictures: pa.Table, done: pa.Table) -> pa.Table:
    """The pictures whose ``dataset`` and ``image_id`` are not in ``done``, in their order."""
    return pictures.filter(pc.invert(pc.is_in(_keys(pictures), value_set=_keys(done))))


def blocks(pictures: pa.Table, size: int) -> list[pa.Table]:
    """At most ``size`` pictures each, in their order: what one task of a job takes."""
    return [pictures.slice(start, size) for start in range(0, pictures.num_rows, size)]


def _keys(table: pa.Table) -> pa.ChunkedArray:
    columns = [table.column(name).cast(pa.large_string()) for name in ("dataset", "image_id")]
    return pc.binary_join_element_wise(*columns, pa.scalar("\0", pa.large_string()))


def _each_once(pictures: pa.Table, hashes: NDArray[np.int64]) -> pa.Table:
    """Rows whose data set and id came before are left out; only those with equal hashes are compared."""
    found, counts = np.unique(hashes, return_counts=True)
    suspects = np.flatnonzero(np.isin(hashes, found[counts > 1]))
    kept = np.ones(len(hashes), dtype=bool)
    said_of: dict[tuple[str, str], str] = {}
    for index, row in zip(suspects, pictures.take(suspects).to_pylist(), strict=True):
        label = "" if row["mos"] is None else f", MOS {row['mos']!r}"
        key, said = (row["dataset"], row["image_id"]), row["image_path"] + label
        kept[index] = key not in said_of
        if said_of.setdefault(key, said) != said:
            raise DataError(
                f"image ids must be unique in a data set, but {row['image_id']!r} of {row['dataset']!r} is "
                f"{said_of[key]} and {said}"
            )
    return pictures.filter(kept) if len(suspects) else pictures


def _first(pictures: pa.Table, count: int | None) -> pa.Table:
    """At most ``count`` of each data set, spread over it, in their own order.

    Not `validation.select_images`, whose hash and order are others: a run that is resumed must choose the same again.
    """
    if count is None:
        return pictures
    keys = list(zip(pictures["dataset"].to_pylist(), pictures["image_id"].to_pylist(), strict=True))
    taken: Counter[str] = Counter()
    kept = np.zeros(len(keys), dtype=bool)
    for place in sorted(range(len(keys)), key=lambda place: derive_seed("annotated", *keys[place])):
        dataset, _ = keys[place]
        kept[place] = taken[dataset] < count
        taken[dataset] += 1
    return pictures.filter(kept)


def _rows(source: str, config: PicturesConfig) -> Iterator[_Row]:
    path = Path(source)
    if is_url(source):
        return _unlabelled(list_files(source, SUFFIXES), config.dataset)
    if path.suffix not in READABLE:
        return _unlabelled(images_of(str(path.absolute())), config.dataset)
    if not path.is_file():
        raise ConfigError(f"images.sources must name existing files or folders, no {source!r} in {Path.cwd()}")
    if "mos" in next((record for _, record in read_table(path)), {}):
        return _of_manifest(path, config.split)
    return _of_list(path, config.dataset)


def _unlabelled(paths: Iterator[str] | Sequence[str], dataset: str) -> Iterator[_Row]:
    """Without an id of its own a picture goes by its path, whatever the job's working directory."""
    return ((path, path, dataset, path, None, None) for path in paths)


def _of_list(path: Path, dataset: str) -> Iterator[_Row]:
    folder = path.absolute().parent
    for _, record in read_table(path, ["path"]):
        file = located(folder, str(record["path"]))
        name = str(record.get("image_id") or file)
        yield name, file, str(record.get("dataset") or dataset), name, None, None


def _of_manifest(path: Path, split: str | None) -> Iterator[_Row]:
    rows = read_located(path)
    ranges = stated_ranges(rows)
    for row in rows_of_split(rows, split, path):
        low, high = ranges[row.dataset]
        # Where all labels are one number it has no place on another scale.
        mapped = float(on_scale(row.mos, low, high, row.direction == "higher")) if low < high else None
        yield row.image_id, row.path, row.dataset, row.content, row.mos, mapped
