"""What an interchange file does not say about its labels, and the reader must be told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_iqa.data.remote import is_url, located
from ray_iqa.data.rows import Direction, ManifestRow, parse_row, required_text, unique_rows
from ray_iqa.errors import DataError
from ray_iqa.path_text import path_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Origin and meaning of the labels of one file."""

    dataset: str
    images: Path  # the folder that image names are relative to
    direction: Direction
    scale: tuple[float, float] | None = None
    licence: str | None = None

    def rows(self, named: Iterable[tuple[str, Mapping[str, Any]]]) -> list[ManifestRow]:
        """Rows of (place, values), checked one by one and against each other; paths are absolute or URLs.

        Args:
            named: values by canonical column; the ``name`` of the image stands for ``path``, and for ``image_id`` where
                that is not given.

        Raises:
            DataError: begins with the place.
        """
        return unique_rows((place, self.row(place, values["name"], values)) for place, values in named)

    def row(self, place: str, name: object, values: Mapping[str, Any]) -> ManifestRow:
        """A checked row of the image ``name``; ``place`` begins the message of the ``DataError`` it may raise."""
        path = required_text({"path": name}, "path", place)
        low, high = self.scale if self.scale is not None else (None, None)
        record = {
            "dataset": self.dataset,
            "image_id": path,
            "path": located(self.images.absolute(), path),
            "direction": self.direction,
            "scale_min": low,
            "scale_max": high,
            "licence": self.licence,
        }
        return parse_row({**record, **values}, place)


def image_name(row: ManifestRow, images: Path) -> str:
    """The name of a row's image relative to the folder ``images``; a URL as it is.

    Raises:
        DataError: the image does not lie below it.
    """
    if is_url(row.path):
        return row.path
    path, folder = Path(row.path), Path(path_text(images.absolute()))
    if not path.is_absolute():
        return path.as_posix()
    if not path.is_relative_to(folder):
        raise DataError(f"every image must lie below {folder}, got {path}; give the folder they have in common")
    return path.relative_to(folder).as_posix()
